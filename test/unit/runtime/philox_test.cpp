#include "runtime/random/philox.h"

#include <gtest/gtest.h>

namespace dnn::runtime {

// Known answers published with Random123.
TEST(Philox, KnownAnswerOfZeros) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
}

TEST(Philox, KnownAnswerOfOnes) {
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Philox, KnownAnswerOfPi) {
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, CounterAndKeyAreLaidOutAsDocumented) {
  EXPECT_EQ(drawBits(0x299f31d0a4093822, 0x03707344, 0x13198a2e, 0x243f6a88, 0x85a308d3),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, UniformIsInTheHalfOpenIntervalAndExactInFloat) {
  double sum = 0;
  for (uint32_t i = 0; i < 10000; ++i) {
    double value = drawUniform(7, 0, 1, i, 0);
    ASSERT_GE(value, 0);
    ASSERT_LT(value, 1);
    ASSERT_EQ(static_cast<double>(static_cast<float>(value)), value);
    sum += value;
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.01);
}

TEST(Philox, NormalHasMeanZeroAndVarianceOne) {
  double sum = 0;
  double squares = 0;
  for (uint32_t i = 0; i < 20000; ++i) {
    double value = drawNormal(7, 3, 1, 0, i);
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / 20000, 0, 0.03);
  EXPECT_NEAR(squares / 20000, 1, 0.04);
}

} // namespace dnn::runtime
