#include "runtime/data/order.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace dnn::runtime {
namespace {

std::vector<uint32_t> orderOf(uint64_t rows, uint64_t seed, uint64_t epoch, const char* source = "tr") {
  std::vector<uint32_t> order;
  epochOrder(rows, true, seed, epoch, source, order);
  return order;
}

TEST(Order, EveryRowOnce) {
  for (uint64_t rows : {1u, 2u, 3u, 10u, 1001u}) {
    std::vector<uint32_t> order = orderOf(rows, 1, 0);
    std::sort(order.begin(), order.end());
    for (uint32_t i = 0; i < rows; ++i) {
      ASSERT_EQ(order[i], i);
    }
  }
}

TEST(Order, AFunctionOfSeedEpochAndSource) {
  EXPECT_EQ(orderOf(100, 1, 0), orderOf(100, 1, 0));
  EXPECT_NE(orderOf(100, 1, 0), orderOf(100, 2, 0));
  EXPECT_NE(orderOf(100, 1, 0), orderOf(100, 1, 1));
  EXPECT_NE(orderOf(100, 1, 0), orderOf(100, 1, 0, "te"));
}

TEST(Order, WithoutShuffleTheFilesOrder) {
  std::vector<uint32_t> order;
  epochOrder(3, false, 1, 1, "tr", order);
  EXPECT_EQ(order, (std::vector<uint32_t>{0, 1, 2}));
}

TEST(Order, AllPermutationsAreAboutEquallyLikely) {
  int counts[3][3] = {};
  for (uint64_t epoch = 0; epoch < 6000; ++epoch) {
    std::vector<uint32_t> order = orderOf(3, 5, epoch);
    for (int i = 0; i < 3; ++i) {
      ++counts[i][order[static_cast<size_t>(i)]];
    }
  }
  for (auto& row : counts) {
    for (int count : row) {
      EXPECT_NEAR(count, 2000, 200);
    }
  }
}

TEST(Order, SplitsOfDifferentSeedsDiffer) {
  std::vector<uint32_t> one;
  std::vector<uint32_t> two;
  splitOrder(100, 0, one);
  splitOrder(100, 1, two);
  EXPECT_NE(one, two);
  splitOrder(100, 0, two);
  EXPECT_EQ(one, two);
  std::sort(one.begin(), one.end());
  EXPECT_EQ(one.front(), 0u);
  EXPECT_EQ(one.back(), 99u);
  EXPECT_EQ(std::unique(one.begin(), one.end()), one.end());
}

TEST(Order, BatchesDrawFromDifferentSeedsAndTheFirstFromTheSeedItself) {
  EXPECT_EQ(batchSeed(42, 0), 42u);
  EXPECT_NE(batchSeed(42, 1), batchSeed(42, 2));
}

} // namespace
} // namespace dnn::runtime
