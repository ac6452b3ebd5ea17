// The passes between the graph as built and the graph that is fused, in order, with the reason for each position.
#include "compiler/transform/pass_manager.h"

#include <array>

namespace dnn::transform {

Status differentiateAll(graph::Module& module, const PassOptions& options) {
  const std::array passes = {
      findPass("differentiate"), // first: it wants calls with their own rules, and the user's ops for its errors
      findPass("inline-calls"),  // the rules have been used
      findPass("spread-scans"),  // calls kept some gradients of elements in loops
      findPass("dce"),
  };
  auto reports = runPasses(module, passes, options);
  return reports ? success() : Status(reports.error());
}

Status optimize(graph::Module& module, const PassOptions& options) {
  const std::array simplification = {
      findPass("simplify-scans"),     // fewer values for the others to look at
      findPass("hoist-scan"),         // before bodies grow: what is inlined in a loop stays there
      findPass("fold-indexing"),      // constants and broadcasts disappear into the bodies
      findPass("simplify"),           // what they make trivial goes
      findPass("inline-elementwise"), // chains of adjoints become one body each, and cancel
      findPass("factor-reductions"),  // sums over products of what is left
      findPass("cse"),                // forward and backward compute some values both
      findPass("reuse-values"),       // parts of bodies too
      findPass("dce"),                // values with one reader less may now be inlined
  };
  if (auto reports = runToFixpoint(module, simplification, options); !reports) {
    return reports.error();
  }
  const std::array folding = {
      findPass("fold-affine"), // bodies are complete, and sums have given up their common factors
      findPass("fold-linear"),
      findPass("dce"),
  };
  if (auto reports = runToFixpoint(module, folding, options); !reports) {
    return reports.error();
  }
  const std::array finish = {
      findPass("reuse-choices"),        // who reads what is settled
      findPass("reuse-extrema"),        // tests are of what is kept
      findPass("hoist-invariants"),     // bodies are as long as they get
      findPass("split-sums"),           // no sum is moved any more
      findPass("cse"),                  // several bodies had the same part
      findPass("recompute-in-windows"), // after that: it would merge the copies again
      findPass("sparse-updates"),       // what a gradient is used for is settled
      findPass("dce"),
  };
  auto reports = runPasses(module, finish, options);
  return reports ? success() : Status(reports.error());
}

} // namespace dnn::transform
