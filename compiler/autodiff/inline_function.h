// Copies the body of a helper function to where it is called.
#pragma once

#include "compiler/graph/graph.h"

#include <span>
#include <vector>

namespace dnn::autodiff {

struct Inlined {
  std::vector<graph::Op*> ops;        ///< not yet in a block, in order
  std::vector<graph::Value*> returns; ///< values of those ops, or arguments
};

/// `callee` is a helper with one input for each argument, in order. Its symbols are bound by the arguments' extents,
/// and by name where no argument says more.
Inlined inlineFunction(graph::Function& caller, const graph::Function& callee,
                       std::span<graph::Value* const> arguments);

} // namespace dnn::autodiff
