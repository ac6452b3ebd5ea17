// Whole training programs, fused and compiled, against the interpreter: every output and every persistent tensor after
// every step, full and partial batches, with one and two threads the same bytes.
#include "test/unit/codegen/program_harness.h"
#include "test/unit/codegen/programs.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <unistd.h>

namespace dnn::codegen {
namespace {

class Train : public testing::TestWithParam<bool> {
protected:
  CompileOptions options() const { return {.threads = 2, .checked = GetParam()}; }
};

TEST_P(Train, LinearRegression) {
  SideBySide program(linearRegression, options());
  program.run("init", 0, 1e-6);
  for (int64_t rows : {16, 16, 3, 1, 16}) {
    program.run("step", rows, 1e-5);
  }
  program.run("predict.f", 4, 1e-5);
  program.run("predict.f", 1, 1e-5);
}

TEST_P(Train, MultiLayerPerceptron) {
  SideBySide program(mlp, options());
  program.run("init", 0, 1e-5);
  for (int64_t rows : {33, 33, 7, 1, 33}) {
    program.run("step", rows, 2e-5);
  }
  program.run("eval.te", 50, 1e-5);
  program.run("eval.te", 13, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Kernels, Train, testing::Bool(),
                         [](const auto& info) { return info.param ? "checked" : "release"; });

TEST(Compile, TheSecondTimeEveryKernelComesFromTheCache) {
  auto folder = std::filesystem::temp_directory_path() / ("dnnc-compile-test-" + std::to_string(getpid()));
  CompileOptions options{.threads = 2, .cacheFolder = folder.string()};
  SideBySide first(linearRegression, options);
  EXPECT_EQ(first.compiled().cachedKernels, 0u);
  SideBySide second(linearRegression, options);
  EXPECT_EQ(second.compiled().cachedKernels, second.compiled().kernels);
  second.run("init", 0, 1e-6);
  second.run("step", 16, 1e-5);
  std::filesystem::remove_all(folder);
}

} // namespace
} // namespace dnn::codegen
