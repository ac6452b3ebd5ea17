// The executable: what it needs, how large it is, and that it computes the same bytes as the same code in this process.
#include "compiler/codegen/llvm/link.h"
#include "compiler/transform/pass_manager.h"
#include "runtime/cli/run_main.h"
#include "test/unit/codegen/program_harness.h"
#include "test/unit/codegen/programs.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <unistd.h>

namespace dnn::codegen {
namespace {

namespace fs = std::filesystem;

std::string readFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

class Executable : public testing::Test {
protected:
  fs::path folder = fs::temp_directory_path() / ("dnnc-executable-test-" + std::to_string(getpid()));
  void SetUp() override { fs::create_directories(folder); }
  void TearDown() override { fs::remove_all(folder); }

  std::string path(const std::string& name) const { return (folder / name).string(); }
  int shell(const std::string& command) const {
    int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string output(const std::string& command) const {
    EXPECT_EQ(shell(command + " > " + path("output")), 0) << command;
    return readFile(path("output"));
  }
};

/// The linear regression with 100 rows of data in the plan: t = x·(1, 2, 3, 4, 5) + 6.
CompiledProgram compileRegression() {
  auto module = parseProgram(linearRegression);
  plan::Plan plan = planOf(*module);
  plan::Source source;
  source.kind = plan::Source::Kind::Table;
  source.name = "tr";
  source.fields = plan.entries[1].inputs;
  source.rows = 100;
  source.batch = 16;
  source.shuffle = true;
  std::vector<float> x, t;
  for (int row = 0; row < 100; ++row) {
    float sum = 6;
    for (int i = 0; i < 5; ++i) {
      x.push_back(static_cast<float>((row * 7 + i * i * 13) % 31 - 15) / 15);
      sum += x.back() * static_cast<float>(i + 1);
    }
    t.push_back(sum);
  }
  auto bytes = [](const std::vector<float>& v) {
    std::vector<uint8_t> b(v.size() * 4);
    std::memcpy(b.data(), v.data(), b.size());
    return b;
  };
  source.table = {bytes(x), bytes(t)};
  plan.sources = {source};
  plan.entries[1].sources = {"tr"};
  plan.entries[1].watchedPersistents = {0, 1};
  plan.entries[1].watchedOutputs = {0};
  plan.phases[0].turns = {{{1}}};
  plan.phases[0].epochs = 3;
  plan.seed = 42;
  auto reports = transform::runPasses(*module, {{transform::findPass("fuse")}});
  EXPECT_TRUE(reports.ok());
  auto compiled = compileProgram(*module, plan, {.threads = 2});
  if (!compiled) {
    throw std::runtime_error(compiled.error().message);
  }
  return std::move(*compiled);
}

TEST_F(Executable, TrainsToTheSameBytesAsInThisProcess) {
  CompiledProgram compiled = compileRegression();
  Status linked = linkExecutable(compiled.objects, {}, path("program"));
  ASSERT_TRUE(linked.ok()) << linked.error().message;
  for (const char* threads : {"1", "2"}) {
    EXPECT_EQ(shell(path("program") + " train --quiet --threads " + threads + " --checkpoint " +
                    path(std::string("executable") + threads)),
              0);
  }
  auto jit = JitProgram::load(compiled.objects, runtimeSymbols());
  ASSERT_TRUE(jit.ok()) << jit.error().message;
  std::vector<std::string> args = {"test", "train", "--quiet", "--checkpoint", path("jit")};
  std::vector<char*> argv;
  for (std::string& arg : args) {
    argv.push_back(arg.data());
  }
  argv.push_back(nullptr);
  EXPECT_EQ(runtime::runMain((*jit)->module(), static_cast<int>(args.size()), argv.data()), 0);
  std::string expected = readFile(path("jit"));
  EXPECT_FALSE(expected.empty());
  EXPECT_TRUE(readFile(path("executable1")) == expected);
  EXPECT_TRUE(readFile(path("executable2")) == expected);
}

TEST_F(Executable, IsSmallAndNeedsOnlyLibcAndLibm) {
  CompiledProgram compiled = compileRegression();
  ASSERT_TRUE(linkExecutable(compiled.objects, {}, path("program")).ok());
  EXPECT_LE(fs::file_size(path("program")), 1u << 20);
  std::istringstream needed(output("ldd " + path("program")));
  for (std::string line; std::getline(needed, line);) {
    bool allowed = line.find("linux-vdso") != std::string::npos || line.find("libc.so") != std::string::npos ||
                   line.find("libm.so") != std::string::npos || line.find("ld-linux") != std::string::npos;
    EXPECT_TRUE(allowed) << line;
  }
}

/// Halide numbers its symbols for the whole process, and kernels are compiled in any order on two threads.
TEST_F(Executable, CompilingTwiceGivesTheSameBytes) {
  ASSERT_TRUE(linkExecutable(compileRegression().objects, {}, path("a")).ok());
  ASSERT_TRUE(linkExecutable(compileRegression().objects, {}, path("b")).ok());
  EXPECT_TRUE(readFile(path("a")) == readFile(path("b")));
}

TEST_F(Executable, AnUnwritablePlaceIsAnErrorThatNamesIt) {
  CompiledProgram compiled = compileRegression();
  Status linked = linkExecutable(compiled.objects, {}, path("no/such/folder/program"));
  ASSERT_FALSE(linked.ok());
  EXPECT_NE(linked.error().message.find("no/such/folder/program"), std::string::npos) << linked.error().message;
}

} // namespace
} // namespace dnn::codegen
