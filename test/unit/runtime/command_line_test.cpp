#include "test/unit/runtime/fake_program.h"

#include <gtest/gtest.h>

namespace dnn::test {
namespace {

struct UsageCase {
  std::vector<std::string> arguments;
  const char* message;
};

class Usage : public testing::TestWithParam<UsageCase> {};

TEST_P(Usage, EndsWithTwoAndASentence) {
  RunResult result = runProgram(fakePlan(), GetParam().arguments);
  EXPECT_EQ(result.code, 2);
  EXPECT_EQ(result.err, std::string("fake: error: ") + GetParam().message + "\n");
  EXPECT_EQ(result.out, "");
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Usage,
    testing::Values(
        UsageCase{{"--foo"}, "unknown or ambiguous option `--foo`; see --help"},
        UsageCase{{"-x"}, "unknown or ambiguous option `-x`; see --help"},
        UsageCase{{"--epochs"}, "`--epochs` needs a value; see --help"},
        UsageCase{{"--epochs", "0"}, "--epochs needs a whole number from 1 to 4294967295, not `0`; see --help"},
        UsageCase{{"--epochs", "5x"}, "--epochs needs a whole number from 1 to 4294967295, not `5x`; see --help"},
        UsageCase{{"--steps", "-5"}, "--steps needs a whole number from 1 to 4294967295, not `-5`; see --help"},
        UsageCase{{"--threads", "1000"}, "--threads needs a whole number from 1 to 256, not `1000`; see --help"},
        UsageCase{{"--epochs", "5", "--steps", "5"}, "--epochs and --steps exclude each other; see --help"},
        UsageCase{{"dance"}, "unknown command `dance`; the commands are train, eval, predict, info; see --help"},
        UsageCase{{"train", "hard"}, "unexpected argument `hard`; see --help"},
        UsageCase{{"predict"}, "predict needs the name of a prediction: line; see --help"},
        UsageCase{{"predict", "circle"}, "this program has no prediction `circle`; it has: line; see --help"},
        UsageCase{{"--data", "d"}, "--data needs NAME=PATH, not `d`; see --help"},
        UsageCase{{"--data", "d=x"},
                  "--data: this program reads no files for `d`; it reads files for: nothing; see "
                  "--help"},
        UsageCase{{"--resume"}, "--resume needs --checkpoint PATH: this program has no checkpoint rule"},
        UsageCase{{"eval"}, "which parameters? give --checkpoint PATH: this program has no checkpoint rule"}));

TEST(CommandLine, HelpNamesThePredictions) {
  for (const char* word : {"--help", "-h", "help"}) {
    RunResult result = runProgram(fakePlan(), {word});
    EXPECT_EQ(result.code, 0);
    EXPECT_NE(result.out.find("run a prediction of the checkpoint on a file: line"), std::string::npos);
  }
}

TEST(CommandLine, InfoShowsParametersAndEntries) {
  RunResult result = runProgram(fakePlan(), {"info"});
  EXPECT_EQ(result.code, 0);
  EXPECT_NE(result.out.find("parameters: 4 values\n  net.w  f32[3]\n  net.b  f32\n"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("predict line(x: f32[N, 3]) -> y: f32[N]"), std::string::npos) << result.out;
}

TEST(CommandLine, EvalPrintsTheMetricsOfTheCheckpoint) {
  TemporaryFolder folder;
  std::string path = folder.path("a.ckpt");
  RunResult train = runProgram(fakePlan(), {"--checkpoint", path});
  ASSERT_EQ(train.code, 0);
  RunResult result = runProgram(fakePlan(), {"eval", "--checkpoint", path});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out.substr(0, 7), "d.loss ");
  EXPECT_NE(train.out.find(result.out), std::string::npos) << "the last evaluation of training is the same";
}

TEST(CommandLine, EvalOfAMissingCheckpointSaysWhatToDo) {
  RunResult result = runProgram(fakePlan(), {"eval", "--checkpoint", "/nowhere/a"});
  EXPECT_EQ(result.code, 4);
  EXPECT_EQ(result.err, "fake: error: cannot read `/nowhere/a`: No such file or directory; train first, or give "
                        "--checkpoint PATH\n");
}

} // namespace
} // namespace dnn::test
