#include "runtime/pool/kernel_abi.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <vector>

TEST(Nonfinite, FiniteValuesOfAllSizesCountAsZero) {
  std::vector<float> values = {0.0f, -0.0f, 1e-45f, -3.4028234e38f, 3.4028234e38f, 1.0f};
  EXPECT_EQ(dnn_count_nonfinite_f32(values.data(), static_cast<int64_t>(values.size())), 0u);
  EXPECT_EQ(dnn_count_nonfinite_f32(nullptr, 0), 0u);
}

TEST(Nonfinite, EveryKindIsFoundAtEveryPlace) {
  float infinity = std::numeric_limits<float>::infinity();
  for (size_t size : {1u, 7u, 8u, 33u, 1000u}) {
    for (size_t at = 0; at < size; ++at) {
      std::vector<float> values(size, 1.5f);
      for (float bad : {NAN, -NAN, infinity, -infinity}) {
        values[at] = bad;
        ASSERT_EQ(dnn_count_nonfinite_f32(values.data(), static_cast<int64_t>(size)), 1u);
      }
    }
  }
}
