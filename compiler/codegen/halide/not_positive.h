// Arguments that are known to be at most 0.
#pragma once

#include "compiler/graph/graph.h"

namespace dnn::codegen {

/// Whether `e`, in the body of `op`, is a difference from a maximum over values of which the first operand is one, as
/// in a softmax: at most 0 but for rounding, or NaN.
bool isBelowItsMaximum(const graph::Op& op, graph::ExprRef e);

} // namespace dnn::codegen
