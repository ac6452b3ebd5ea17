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

TEST(Nonfinite, FloatsOf16Bits) {
  std::vector<uint16_t> values(333, 0x7BFF); // the largest f16, and a finite bf16
  EXPECT_EQ(dnn_count_nonfinite_16(values.data(), 333, 0x7C00), 0u);
  EXPECT_EQ(dnn_count_nonfinite_16(values.data(), 333, 0x7F80), 0u);
  values[7] = 0xFC00; // -infinity, and a finite bf16
  values[8] = 0x7C01; // NaN
  values[332] = 0x7F80;
  EXPECT_EQ(dnn_count_nonfinite_16(values.data(), 333, 0x7C00), 3u);
  EXPECT_EQ(dnn_count_nonfinite_16(values.data(), 333, 0x7F80), 1u);
}
