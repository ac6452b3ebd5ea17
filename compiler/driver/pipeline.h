// One compilation, from the file to the fused graph, stage by stage; code generation takes it from there.
#pragma once

#include "compiler/diag/diagnostics.h"
#include "compiler/driver/load_files.h"
#include "compiler/driver/options.h"
#include "compiler/driver/program_inputs.h"
#include "compiler/graph/graph.h"
#include "compiler/sema/program.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dnn::driver {

class Pipeline {
public:
  /// In the order in which they run. Each one needs those before it.
  enum class Stage : uint8_t { Parse, Analyze, Build, Differentiate, Optimize, Fuse };

  /// `combination`: number of the combination of values that a sweep takes.
  explicit Pipeline(const Options& options, size_t combination = 0);

  /// Runs the stages up to and including `last`, once. kSuccess, or the exit code of a run that ends here; then stderr
  /// has said why. Warnings are printed in both cases.
  int runTo(Stage last);
  /// The same in two parts: runs, and says what there is to say.
  int runSilently(Stage last) { return runStages(last); }
  void report();

  /// The results of the stages that have run.
  const ast::File& userFile() const { return *loaded_.user.front(); }
  bool isLibrary() const { return !program_; } ///< no train block: there is nothing behind Analyze
  sema::Program& program() { return *program_; }
  graph::Module& module() { return *module_; } ///< as the last stage left it
  /// What was read, and what report() has printed.
  ProgramInputs inputs() const;

  /// Measures `work` for --time-passes, which prints when the pipeline ends.
  void timed(const std::string& stage, const std::function<void()>& work);
  /// A part of the work that `timed` measures at present: a pass, a kernel. Equal names add up.
  void notePart(std::string_view name, double seconds);
  ~Pipeline();

private:
  int runStages(Stage last);
  void analyze();
  std::string messages() const { return options_.json ? diags_.renderJson() : diags_.render(); }

  const Options& options_;
  size_t combination_;
  diag::Sources sources_;
  diag::Diagnostics diags_;
  LoadedFiles loaded_;
  std::vector<ProbeRecord> asked_; ///< of data files
  std::optional<sema::Program> program_;
  std::unique_ptr<graph::Module> module_;

  struct Duration {
    std::string what; ///< a stage, or a part of the stage before it in the list
    double seconds = 0;
    int runs = 1;
    bool isPart = false;
  };
  std::vector<Duration> durations_;
  size_t firstPart_ = 0; ///< of the running stage, in durations_
};

} // namespace dnn::driver
