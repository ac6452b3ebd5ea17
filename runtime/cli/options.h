// The command line of a compiled program; `dnnc run FILE …` and the executable take the same one.
#pragma once

#include "runtime/data/dataset.h"
#include "runtime/plan/plan.h"
#include "runtime/support/status.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dnn::runtime {

/// `--in x=a.npy` or `--in a.csv` (no name).
struct NamedPath {
  std::string name;
  std::string path;
};

struct Options {
  enum class Command { Train, Eval, Predict, Info, Help };
  Command command = Command::Train;
  std::string predictName;
  std::optional<uint64_t> epochs;
  std::optional<uint64_t> steps;
  std::optional<uint64_t> seed;
  int threads = 0; // 0 = as many as there are CPUs
  DataOverrides data;
  uint64_t dataMemory = defaultDataMemory(); // bytes
  std::string checkpoint;
  std::string log;
  bool resume = false;
  bool quiet = false;
  std::vector<NamedPath> inputs;
  std::vector<NamedPath> outputs;
  std::vector<NamedPath> inits;
  std::string variant; // "lr=0.01,seed=2": of a sweep
};

/// Parses and checks against the plan: commands, names of sources and predictions. Errors have ExitCode::Usage.
Status parseOptions(const plan::Plan& plan, int argc, char** argv, Options& options);

/// The text of --help for this program.
std::string helpText(const plan::Plan& plan, const std::string& program);

} // namespace dnn::runtime
