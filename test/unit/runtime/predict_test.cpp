#include "runtime/data/npy.h"
#include "test/unit/runtime/fake_program.h"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>

namespace dnn::test {
namespace {

class Predict : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(runProgram(fakePlan(), {"--epochs", "60", "--quiet", "--checkpoint", checkpoint_}).code, 0);
  }
  RunResult predict(std::vector<std::string> arguments, const plan::Plan& plan = fakePlan()) {
    std::vector<std::string> words{"predict", "line", "--checkpoint", checkpoint_};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return runProgram(plan, words);
  }
  std::string file(const std::string& name, const std::string& text) {
    writeText(folder_.path(name), text);
    return folder_.path(name);
  }

  TemporaryFolder folder_;
  std::string checkpoint_ = folder_.path("a.ckpt");
};

TEST_F(Predict, CsvInMoreRowsThanABatch) {
  std::string text = "a,b,c\n";
  for (int i = 0; i < 20; ++i) {
    text += "0.1,0.2," + std::to_string(i) + "\n";
  }
  RunResult result = predict({"--in", file("x.csv", text), "--out", folder_.path("y.csv")});
  ASSERT_EQ(result.code, 0) << result.err;
  std::string out = readText(folder_.path("y.csv"));
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 21);
  EXPECT_EQ(out.substr(0, 2), "y\n");
  EXPECT_NEAR(std::stof(out.substr(2)), 1 + 0.2 - 0.6, 0.05);
}

TEST_F(Predict, NpyInAndOutAreTheSameNumbers) {
  float rows[2][3] = {{0, 0, 0}, {1, 0, 0}};
  std::vector<uint8_t> bytes = runtime::writeNpy(plan::DType::F32, {2, 3}, reinterpret_cast<uint8_t*>(rows));
  std::string in = file("x.npy", std::string(bytes.begin(), bytes.end()));
  ASSERT_EQ(predict({"--in", "x=" + in, "--out", "y=" + folder_.path("y.npy")}).code, 0);
  std::string out = readText(folder_.path("y.npy"));
  runtime::FileArray array;
  ASSERT_TRUE(runtime::readNpy(reinterpret_cast<const uint8_t*>(out.data()), out.size(), "y", array).ok());
  EXPECT_EQ(array.dims, std::vector<int64_t>{2});
  float y[2];
  std::memcpy(y, array.values.data(), sizeof y);
  EXPECT_NEAR(y[0], 1, 0.05);
  EXPECT_NEAR(y[1], 3, 0.05);
}

TEST_F(Predict, ColumnsAreFoundByTheNamesOfACsvSource) {
  plan::Plan plan = fakePlan();
  plan::Source source;
  source.kind = plan::Source::Kind::Csv;
  source.name = "c";
  source.fields = {plan.entries[FAKE_PREDICT].inputs[0]};
  source.columns = {{.runs = {{"f0", "f2"}}}};
  plan.sources.push_back(source);
  RunResult result = predict({"--in", file("x.csv", "id,f0,f1,f2,label\n7,0,0,0,5\n")}, plan);
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NEAR(std::stof(result.out.substr(2)), 1, 0.05);
}

TEST_F(Predict, WrongInputsGetASentence) {
  std::string wide = file("w.csv", "a,b\n1,2\n");
  RunResult result = predict({"--in", wide});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "fake: error: `" + wide + "`: columns `a` to `b` are 2 columns; field `x` needs 3\n");
  EXPECT_EQ(predict({}).err, "fake: error: predict line needs --in x=PATH; its inputs are x: f32[3] a row\n");
  EXPECT_EQ(predict({"--in", "z=a.csv"}).err, "fake: error: --in: there is no `z`; there is x: f32[3] a row\n");
  EXPECT_EQ(predict({"--in", "/nowhere/a.npy"}).code, 4);
  std::string empty = file("e.csv", "a,b,c\n");
  EXPECT_EQ(predict({"--in", empty}).err, "fake: error: the input of predict line has no rows\n");
}

TEST_F(Predict, RowsThatBelongTogetherAreNotCut) {
  plan::Plan plan = fakePlan();
  plan.entries[FAKE_PREDICT].rowwise = false;
  std::string text = "a,b,c\n";
  for (int i = 0; i < FAKE_BATCH; ++i) {
    text += "1,2,3\n";
  }
  EXPECT_EQ(predict({"--in", file("x.csv", text)}, plan).code, 0);
  RunResult result = predict({"--in", file("x.csv", text + "1,2,3\n")}, plan);
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("looks at all rows together, at most 8 of them, and the input has 9"), std::string::npos);
}

TEST_F(Predict, AnOutputThatCannotBeWrittenLeavesNothing) {
  RunResult result = predict({"--in", file("x.csv", "a,b,c\n1,2,3\n"), "--out", "/nowhere/y.csv"});
  EXPECT_EQ(result.code, 4);
}

} // namespace
} // namespace dnn::test
