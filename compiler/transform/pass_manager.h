// Passes and the one wrapper that runs them.
//
// A pass is a free function `Result<Changed> name(graph::Module&)` with one row in passes.def. It may assume that the
// module verifies and must leave it so. An error is a mistake in the user's program (a path without a derivative),
// never a limitation that the verifier could have named.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/support/result.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dnn::transform {

/// Whether a pass changed anything: what a fixpoint loop asks.
enum class Changed : bool { No, Yes };
constexpr Changed operator|(Changed a, Changed b) {
  return a == Changed::Yes || b == Changed::Yes ? Changed::Yes : Changed::No;
}

#define PASS(function, flag, summary) Result<Changed> function(graph::Module& module);
#include "compiler/transform/passes.def"

struct Pass {
  std::string_view flag;
  std::string_view summary;
  Result<Changed> (*run)(graph::Module&);
};

/// All passes, in the order of passes.def.
std::span<const Pass> allPasses();
const Pass* findPass(std::string_view flag);
/// "a,b,c" → the passes; the error names the unknown flag.
Result<std::vector<const Pass*>> parsePassList(std::string_view flags);

struct PassReport;

struct PassOptions {
  bool verifyEach = false; ///< verify before the first pass and after each one
  bool time = false;       ///< fill PassReport::seconds
  std::string dumpAfter;   ///< flag of a pass, or "all"
  /// Receives the text of a dump; the default prints to stderr.
  std::function<void(std::string_view)> dump;
  /// Receives the report of each pass when it has run.
  std::function<void(const PassReport&)> observe;
};

/// What one pass did; times are wall clock.
struct PassReport {
  const Pass* pass = nullptr;
  Changed changed = Changed::No;
  double seconds = 0;
};

/// Runs the passes in order. A pass that breaks the module (with verifyEach) ends with an error that names the pass and
/// what the verifier said.
Result<std::vector<PassReport>> runPasses(graph::Module& module, std::span<const Pass* const> passes,
                                          const PassOptions& options = {});

/// Runs the passes again and again until none changes anything; stops after `limit` rounds, which is not an error.
Result<std::vector<PassReport>> runToFixpoint(graph::Module& module, std::span<const Pass* const> passes,
                                              const PassOptions& options = {}, int limit = 16);

/// The passes between the graph as built and the graph that is fused: differentiate and everything that simplifies.
/// The first makes the graph of `dnnc emit backward`, both together that of `dnnc emit optimized`.
Status differentiateAll(graph::Module& module, const PassOptions& options = {});
Status optimize(graph::Module& module, const PassOptions& options = {});

/// A table of the reports, one line a pass, for --time-passes.
std::string printTimes(std::span<const PassReport> reports);

} // namespace dnn::transform
