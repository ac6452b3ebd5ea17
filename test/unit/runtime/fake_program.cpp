#include "test/unit/runtime/fake_program.h"

#include "runtime/cli/run_main.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace dnn::test {

using plan::DType;
using plan::Entry;
using plan::Persistent;
using plan::Plan;
using plan::Port;
using plan::Source;

Plan fakePlan() {
  Port x{.name = "x", .batched = true, .dims = {FAKE_FEATURES}, .offset = FAKE_X};
  Port y{.name = "y", .batched = true, .offset = FAKE_Y};
  Port loss{.name = "loss", .offset = FAKE_LOSS};
  Port out{.name = "y", .batched = true, .offset = FAKE_OUT};
  Plan plan;
  plan.program = "line";
  plan.directory = "/";
  plan.fingerprint = "fake";
  plan.persistentBytes = FAKE_PERSISTENT_BYTES;
  plan.arenaBytes = FAKE_ARENA_BYTES;
  plan.persistents = {
      {Persistent::Kind::Parameter, "net.w", DType::F32, {FAKE_FEATURES}, FAKE_W},
      {Persistent::Kind::Parameter, "net.b", DType::F32, {}, FAKE_B},
      {Persistent::Kind::OptimizerState, "o.m/net.w", DType::F32, {FAKE_FEATURES}, FAKE_MOMENTUM},
  };
  plan.entries = {
      {.kind = Entry::Kind::Init, .name = "init"},
      {.kind = Entry::Kind::Step,
       .name = "step",
       .batch = FAKE_BATCH,
       .inputs = {x, y},
       .outputs = {loss},
       .sources = {"d"},
       .watchedPersistents = {0, 1},
       .watchedOutputs = {0}},
      {.kind = Entry::Kind::Eval,
       .name = "d",
       .batch = FAKE_BATCH,
       .inputs = {x, y},
       .outputs = {loss},
       .sources = {"d"}},
      {.kind = Entry::Kind::Predict, .name = "line", .batch = FAKE_BATCH, .inputs = {x}, .outputs = {out}},
      {.kind = Entry::Kind::Generate, .name = "d", .batch = FAKE_BATCH, .outputs = {x, y}},
  };
  plan.sources = {{.kind = Source::Kind::Generate,
                   .name = "d",
                   .fields = {x, y},
                   .rows = 100,
                   .generateEntry = FAKE_GENERATE,
                   .seed = 3,
                   .batch = FAKE_BATCH,
                   .shuffle = true}};
  plan.phases = {{.turns = {{{FAKE_STEP}}}, .evals = {FAKE_STEP + 1}, .epochs = 10}};
  plan.seed = 1;
  return plan;
}

FakeProgram::FakeProgram(const Plan& plan) : bytes(plan::encode(plan)) {
  module = {DNN_ABI_VERSION, FAKE_ENTRIES, bytes.data(), bytes.size(), fakeBind, fakeEntries, nullptr};
}

RunResult runProgram(const Plan& plan, const std::vector<std::string>& arguments) {
  FakeProgram program(plan);
  std::vector<std::string> words{"fake"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  RunResult result;
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  result.code = runtime::runMain(program.module, static_cast<int>(words.size()), argv.data());
  result.err = testing::internal::GetCapturedStderr();
  result.out = testing::internal::GetCapturedStdout();
  return result;
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = std::filesystem::temp_directory_path() / "dnn-runtime-XXXXXX";
  EXPECT_NE(mkdtemp(pattern.data()), nullptr);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(path_); }

std::string readText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void writeText(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

} // namespace dnn::test
