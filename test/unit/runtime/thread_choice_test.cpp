#include "runtime/pool/thread_choice.h"

#include <gtest/gtest.h>

namespace dnn::runtime {
namespace {

/// Calls for so many nanoseconds that take `together` or `alone`; the part of the time that was spent alone.
double shareAlone(ThreadChoice& choice, int64_t together, int64_t alone, int64_t nanoseconds) {
  int64_t all = 0;
  int64_t byOne = 0;
  while (all < nanoseconds) {
    int64_t took = choice.alone() ? alone : together;
    byOne += choice.alone() ? took : 0;
    all += took;
    choice.took(took);
  }
  return static_cast<double>(byOne) / static_cast<double>(all);
}

constexpr int64_t second = 1'000'000'000;

TEST(ThreadChoice, WhatIsFasterTogetherIsHardlyDoneAlone) {
  for (int64_t call : {300, 50'000, 500'000, 1'900'000}) {
    ThreadChoice choice;
    EXPECT_LT(shareAlone(choice, call, call * 2, 10 * second), 0.02) << call;
    EXPECT_FALSE(choice.alone());
  }
}

TEST(ThreadChoice, WhatIsFasterAloneIsDoneSo) {
  for (int64_t call : {300, 50'000, 500'000}) {
    ThreadChoice choice;
    EXPECT_GT(shareAlone(choice, call * 2, call, 10 * second), 0.95) << call;
  }
}

TEST(ThreadChoice, EqualTimesStayTogether) {
  ThreadChoice choice;
  EXPECT_LT(shareAlone(choice, 10'000, 10'000, 10 * second), 0.02);
}

TEST(ThreadChoice, ChangesWithTheMachine) {
  ThreadChoice choice;
  shareAlone(choice, 20'000, 30'000, second);
  EXPECT_GT(shareAlone(choice, 40'000, 30'000, 5 * second), 0.9);
  EXPECT_LT(shareAlone(choice, 20'000, 30'000, 5 * second), 0.1);
}

TEST(ThreadChoice, LongCallsAreNeverTried) {
  ThreadChoice choice;
  EXPECT_EQ(shareAlone(choice, 5'000'000, 1'000'000, 10 * second), 0);
}

TEST(ThreadChoice, OneSlowBlockDecidesNothing) {
  ThreadChoice choice;
  shareAlone(choice, 10'000, 30'000, 20'000'000); // the trial begins
  shareAlone(choice, 90'000, 30'000, 200'000);    // disturbed
  EXPECT_LT(shareAlone(choice, 10'000, 30'000, second), 0.05);
}

} // namespace
} // namespace dnn::runtime
