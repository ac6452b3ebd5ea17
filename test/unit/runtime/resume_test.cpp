// A run that is stopped after any step and resumed ends in the same bytes as one that was never stopped.
#include "test/unit/runtime/fake_program.h"

#include <csignal>
#include <gtest/gtest.h>

namespace dnn::test {
namespace {

/// 3 epochs of 13 steps, a checkpoint every 2 epochs, the best one, patience that never ends.
plan::Plan shortPlan(const TemporaryFolder& folder) {
  plan::Plan plan = fakePlan();
  plan.phases[0].epochs = 3;
  plan.checkpoint = {folder.path("a.ckpt"), {2, false}, "d.loss", false};
  plan.phases[0].patience = {50, "d.loss", false};
  return plan;
}

TEST(Resume, AfterEveryStepTheFinalCheckpointsAreByteEqual) {
  TemporaryFolder folder;
  plan::Plan plan = shortPlan(folder);
  ASSERT_EQ(runProgram(plan, {}).code, 0);
  std::string last = readText(folder.path("a.ckpt"));
  std::string best = readText(folder.path("a.ckpt.best"));
  ASSERT_GT(last.size(), 100u);
  for (int step = 1; step <= 39; ++step) {
    TemporaryFolder other;
    plan = shortPlan(other);
    RunResult first = runProgram(plan, {"--steps", std::to_string(step), "--quiet"});
    ASSERT_EQ(first.code, 0) << first.err;
    RunResult second = runProgram(plan, {"--resume"});
    ASSERT_EQ(second.code, 0) << second.err;
    ASSERT_EQ(readText(other.path("a.ckpt")), last) << "stopped after step " << step;
    ASSERT_EQ(readText(other.path("a.ckpt.best")), best) << "stopped after step " << step;
  }
}

int interruptAt = 0;
int interruptSignal = SIGINT;

void interrupt(const DnnCall* call) {
  if (static_cast<int>(call->step) + 1 == interruptAt) {
    raise(interruptSignal);
  }
}

TEST(Resume, AfterAnInterruptTheFinalCheckpointsAreByteEqual) {
  TemporaryFolder folder;
  ASSERT_EQ(runProgram(shortPlan(folder), {}).code, 0);
  std::string last = readText(folder.path("a.ckpt"));
  for (int step : {1, 12, 13, 14, 26, 38}) { // 13 and 26 are the ends of epochs
    TemporaryFolder other;
    plan::Plan plan = shortPlan(other);
    interruptAt = step;
    interruptSignal = step % 2 == 0 ? SIGINT : SIGTERM;
    fakeAfterStep = interrupt;
    RunResult first = runProgram(plan, {});
    fakeAfterStep = nullptr;
    EXPECT_EQ(first.code, 130);
    EXPECT_EQ(first.err, "fake: stopped after step " + std::to_string(step) + "; continue with --resume from `" +
                             other.path("a.ckpt") + "`\n");
    ASSERT_EQ(runProgram(plan, {"--resume"}).code, 0);
    ASSERT_EQ(readText(other.path("a.ckpt")), last) << "interrupted after step " << step;
  }
}

TEST(Resume, WithoutACheckpointAnInterruptSavesNothing) {
  interruptAt = 3;
  fakeAfterStep = interrupt;
  RunResult result = runProgram(fakePlan(), {});
  fakeAfterStep = nullptr;
  EXPECT_EQ(result.code, 130);
  EXPECT_EQ(result.err, "fake: stopped after step 3; nothing is saved: there is no --checkpoint\n");
}

TEST(Resume, ThreadsDoNotChangeTheBytes) {
  TemporaryFolder one;
  TemporaryFolder two;
  ASSERT_EQ(runProgram(shortPlan(one), {"--threads", "1"}).code, 0);
  ASSERT_EQ(runProgram(shortPlan(two), {"--threads", "2"}).code, 0);
  EXPECT_EQ(readText(one.path("a.ckpt")), readText(two.path("a.ckpt")));
}

TEST(Resume, AnotherSeedIsAnotherRun) {
  TemporaryFolder one;
  TemporaryFolder two;
  ASSERT_EQ(runProgram(shortPlan(one), {}).code, 0);
  ASSERT_EQ(runProgram(shortPlan(two), {"--seed", "2"}).code, 0);
  EXPECT_NE(readText(one.path("a.ckpt")), readText(two.path("a.ckpt")));
  RunResult result = runProgram(shortPlan(two), {"--resume", "--seed", "7"});
  EXPECT_EQ(result.code, 2);
  EXPECT_EQ(result.err, "fake: error: the checkpoint was made with --seed 2; leave --seed out\n");
}

TEST(Resume, OfAFinishedRunDoesNothing) {
  TemporaryFolder folder;
  ASSERT_EQ(runProgram(shortPlan(folder), {}).code, 0);
  std::string last = readText(folder.path("a.ckpt"));
  RunResult result = runProgram(shortPlan(folder), {"--resume"});
  EXPECT_EQ(result.code, 0);
  EXPECT_NE(result.out.find("nothing to do: 3 epochs and 39 steps are done already"), std::string::npos);
  EXPECT_EQ(readText(folder.path("a.ckpt")), last);
}

TEST(Resume, WithoutAFileIsAnError) {
  TemporaryFolder folder;
  RunResult result = runProgram(shortPlan(folder), {"--resume"});
  EXPECT_EQ(result.code, 4);
  EXPECT_EQ(result.err, "fake: error: cannot read `" + folder.path("a.ckpt") +
                            "`: No such file or directory; start without --resume\n");
}

TEST(Resume, WithinAnEpochNeedsTheSameData) {
  TemporaryFolder folder;
  plan::Plan plan = shortPlan(folder);
  ASSERT_EQ(runProgram(plan, {"--steps", "5"}).code, 0);
  plan.sources[0].rows = 96;
  RunResult result = runProgram(plan, {"--resume"});
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("stands within an epoch of 100 examples, and the data has 96"), std::string::npos);
}

} // namespace
} // namespace dnn::test
