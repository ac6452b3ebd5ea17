#include "test/unit/runtime/fake_program.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace dnn::test {
namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

int lines(const std::string& text) { return static_cast<int>(std::count(text.begin(), text.end(), '\n')); }

TEST(Train, LearnsAndPrintsALineForEachEpochAndASummary) {
  RunResult result = runProgram(fakePlan(), {});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(contains(result.out, "epoch  1/10  loss ")) << result.out;
  EXPECT_TRUE(contains(result.out, "epoch 10/10  loss ")) << result.out;
  EXPECT_TRUE(contains(result.out, "trained line: 10 epochs, 130 steps in ")) << result.out;
  EXPECT_EQ(lines(result.out), 12) << result.out;
}

TEST(Train, LongRunsOfShortEpochsPrintFewLines) {
  RunResult result = runProgram(fakePlan(), {"--epochs", "1001"});
  EXPECT_EQ(result.code, 0);
  EXPECT_LE(lines(result.out), 24);
  EXPECT_TRUE(contains(result.out, "epoch 1001/1001")) << result.out;
}

TEST(Train, QuietPrintsNothing) {
  RunResult result = runProgram(fakePlan(), {"--quiet"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out + result.err, "");
}

struct Rows {
  int seen = 0;
  int calls = 0;
} rows;

TEST(Train, TheLastPartialBatchIsUsed) {
  rows = {};
  fakeAfterStep = [](const DnnCall* call) {
    rows.seen += static_cast<int>(call->rows);
    ++rows.calls;
  };
  RunResult result = runProgram(fakePlan(), {"--epochs", "2"});
  fakeAfterStep = nullptr;
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(rows.seen, 200);
  EXPECT_EQ(rows.calls, 26);
}

TEST(Train, DivergenceNamesStepAndLossAndKeepsTheOldCheckpoint) {
  TemporaryFolder folder;
  std::string path = folder.path("a.ckpt");
  writeText(path, "old");
  fakeLearningRate = 1e15f;
  RunResult result = runProgram(fakePlan(), {"--checkpoint", path});
  fakeLearningRate = 0.05f;
  EXPECT_EQ(result.code, 3);
  EXPECT_TRUE(contains(result.err, "fake: error: step ")) << result.err;
  EXPECT_TRUE(contains(result.err, " (epoch 1): `loss` is ")) << result.err;
  EXPECT_EQ(readText(path), "old");
}

TEST(Train, DivergenceNamesTheParameter) {
  fakeLearningRate = 3e38f;
  RunResult result = runProgram(fakePlan(), {});
  fakeLearningRate = 0.05f;
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.err, "fake: error: step 1 (epoch 1): 1 of the 1 values of `net.b` are NaN or infinite; a smaller "
                        "learning rate may help\n");
}

TEST(Train, PatienceStopsAndAResumedRunStaysStopped) {
  TemporaryFolder folder;
  plan::Plan plan = fakePlan();
  plan.phases[0].patience = {3, "d.loss", false};
  plan.checkpoint.path = folder.path("a.ckpt");
  plan.phases[0].epochs = 100000;
  RunResult result = runProgram(plan, {});
  EXPECT_EQ(result.code, 0);
  EXPECT_TRUE(contains(result.out, "stopped early: d.loss was best after epoch ")) << result.out;
  EXPECT_TRUE(contains(runProgram(plan, {"--resume"}).out, "nothing to do"));
}

TEST(Train, EventsAreOneObjectALine) {
  TemporaryFolder folder;
  std::string log = folder.path("e.jsonl");
  ASSERT_EQ(runProgram(fakePlan(), {"--epochs", "2", "--log", log, "--quiet"}).code, 0);
  std::string text = readText(log);
  EXPECT_EQ(lines(text), 1 + 26 + 2 + 1);
  EXPECT_TRUE(contains(text, "{\"event\":\"start\",\"program\":\"line\",\"seed\":1,\"epoch\":0,\"step\":0,"));
  EXPECT_TRUE(contains(text, "{\"event\":\"step\",\"epoch\":2,\"step\":26,\"rows\":4,\"loss\":"));
  EXPECT_TRUE(contains(text, "{\"event\":\"epoch\",\"epoch\":2,\"step\":26,\"loss\":"));
  EXPECT_TRUE(contains(text, "{\"event\":\"end\",\"reason\":\"done\",\"epoch\":2,\"step\":26,"));
}

TEST(Train, ALogOrCheckpointThatCannotBeWrittenIsFoundOutFirst) {
  EXPECT_EQ(runProgram(fakePlan(), {"--log", "/nowhere/e.jsonl"}).code, 4);
  RunResult result = runProgram(fakePlan(), {"--checkpoint", "/nowhere/a.ckpt"});
  EXPECT_EQ(result.code, 4);
  EXPECT_EQ(result.err, "fake: error: cannot write `/nowhere/a.ckpt`: folder `/nowhere`: No such file or directory\n");
}

TEST(Train, ARuleWhoseFolderIsGoneSaysHowToGiveAnother) {
  plan::Plan plan = fakePlan();
  plan.directory = "/nowhere";
  plan.checkpoint.path = "a.ckpt";
  RunResult result = runProgram(plan, {});
  EXPECT_EQ(result.code, 4);
  EXPECT_EQ(result.err, "fake: error: cannot write `/nowhere/a.ckpt`: folder `/nowhere`: No such file or directory; "
                        "another place can be given with --checkpoint PATH\n");
}

TEST(Train, ACpuWithoutTheInstructionsGetsASentence) {
  plan::Plan plan = fakePlan();
  plan.target = "x86-64-v4";
  RunResult result = runProgram(plan, {"--epochs", "1"});
  if (__builtin_cpu_supports("avx512f")) {
    EXPECT_EQ(result.code, 0);
  } else {
    EXPECT_EQ(result.code, 1);
    EXPECT_TRUE(contains(result.err, "this CPU has no AVX-512")) << result.err;
  }
}

TEST(Train, APlanThatDoesNotFitTheCodeIsAnInternalError) {
  plan::Plan plan = fakePlan();
  plan.entries.pop_back();
  EXPECT_EQ(runProgram(plan, {}).code, 70);
  plan = fakePlan();
  plan.arenaBytes = 8;
  EXPECT_EQ(runProgram(plan, {}).code, 70);
  plan = fakePlan();
  plan.phases[0].patience = {3, "te.acc", false};
  EXPECT_EQ(runProgram(plan, {}).code, 70);
}

} // namespace
} // namespace dnn::test
