// The plan of test/runtime/fake_module.c, and a folder to run it in.
#pragma once

#include "runtime/plan/plan.h"
#include "test/runtime/fake_module.h"

#include <string>
#include <vector>

namespace dnn::test {

/// Trains on 100 generated examples in batches of 8 (the last one has 4), shuffled; evaluates on the same source.
plan::Plan fakePlan();

/// A program of the plan; the bytes live as long as this.
struct FakeProgram {
  explicit FakeProgram(const plan::Plan& plan);
  FakeProgram(const FakeProgram&) = delete;
  FakeProgram& operator=(const FakeProgram&) = delete;
  std::vector<uint8_t> bytes;
  DnnModule module;
};

struct RunResult {
  int code = 0;
  std::string out;
  std::string err;
};

/// runMain with these arguments behind the program name; what it prints.
RunResult runProgram(const plan::Plan& plan, const std::vector<std::string>& arguments);

/// An empty folder that is removed at the end.
class TemporaryFolder {
public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string path(const std::string& name) const { return path_ + "/" + name; }

private:
  std::string path_;
};

std::string readText(const std::string& path);
void writeText(const std::string& path, const std::string& text);

} // namespace dnn::test
