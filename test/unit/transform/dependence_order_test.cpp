#include "compiler/transform/dependence_order.h"

#include <gtest/gtest.h>
#include <random>

namespace dnn::transform {
namespace {

/// By a search over all edges.
bool reachesSlowly(const DependenceOrder& order, size_t from, size_t to) {
  std::vector<bool> seen(order.size());
  std::vector<size_t> work = {from};
  while (!work.empty()) {
    size_t node = work.back();
    work.pop_back();
    if (node == to) {
      return true;
    }
    for (size_t next : order.after(node)) {
      if (!seen[next]) {
        seen[next] = true;
        work.push_back(next);
      }
    }
  }
  return false;
}

TEST(DependenceOrder, ReachesWhatChainsReach) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    constexpr size_t count = 40;
    DependenceOrder order(count);
    size_t added = 0;
    for (int i = 0; i < 200; ++i) {
      size_t from = random() % count;
      size_t to = random() % count;
      bool back = order.reaches(to, from);
      ASSERT_EQ(back, reachesSlowly(order, to, from)) << "seed " << seed;
      if (!back) {
        order.add(from, to); // against the first order as often as along it
        ++added;
      }
    }
    EXPECT_GT(added, count / 2);
    for (size_t a = 0; a < count; ++a) {
      for (size_t b = 0; b < count; ++b) {
        ASSERT_EQ(order.reaches(a, b), reachesSlowly(order, a, b)) << "seed " << seed;
      }
    }
  }
}

TEST(DependenceOrder, EachReachesItself) {
  DependenceOrder order(2);
  EXPECT_TRUE(order.reaches(1, 1));
  EXPECT_FALSE(order.reaches(1, 0));
  order.add(1, 0);
  EXPECT_TRUE(order.reaches(1, 0));
  EXPECT_FALSE(order.reaches(0, 1));
}

} // namespace
} // namespace dnn::transform
