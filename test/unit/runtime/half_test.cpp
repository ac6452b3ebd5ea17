#include "runtime/types/half.h"

#include <cmath>
#include <gtest/gtest.h>

namespace dnn {
namespace {

/// Every value of 16 bits is the value of an f32, which is rounded to it again; a NaN stays one, of its sign.
TEST(Half, everyPatternRoundTrips) {
  for (DType type : {DType::BF16, DType::F16}) {
    for (uint32_t pattern = 0; pattern < 0x10000; ++pattern) {
      auto bits = static_cast<uint16_t>(pattern);
      float value = fromBits(type, bits);
      uint16_t again = toBits(type, value);
      if (std::isnan(value)) {
        EXPECT_TRUE(std::isnan(fromBits(type, again))) << pattern;
        EXPECT_EQ(again & 0x8000, bits & 0x8000) << pattern;
      } else {
        EXPECT_EQ(again, bits) << pattern;
      }
    }
  }
}

/// Between neighbours the nearer one, in the middle the one whose last bit is 0; the first value behind the largest is
/// infinite.
TEST(Half, roundsToNearestEven) {
  for (DType type : {DType::BF16, DType::F16}) {
    int infinity = type == DType::BF16 ? 0x7f80 : 0x7c00;
    for (int pattern = 0; pattern < infinity; ++pattern) {
      double low = fromBits(type, static_cast<uint16_t>(pattern));
      double step = pattern + 1 < infinity ? fromBits(type, static_cast<uint16_t>(pattern + 1)) - low
                                           : low - fromBits(type, static_cast<uint16_t>(pattern - 1));
      auto middle = static_cast<float>(low + step / 2); // exact: an f32 has more bits
      EXPECT_EQ(toBits(type, middle), pattern + (pattern & 1));
      EXPECT_EQ(toBits(type, std::nextafterf(middle, 0)), pattern);
      EXPECT_EQ(toBits(type, std::nextafterf(middle, INFINITY)), pattern + 1);
      EXPECT_EQ(toBits(type, -middle), (pattern + (pattern & 1)) | 0x8000);
    }
  }
}

} // namespace
} // namespace dnn
