// Functions that are smooth although their parts are not.
//
//   max(s, 0) - s·r + log1p(exp(-|s|))          (cross-entropy of a logistic unit, computed stably)
//
// has the derivative 1 / (1 + exp(-s)) - r everywhere, but the rules of max and abs give 1 - r at s = 0, and two cases
// around it. So where two corners are at the same place, the derivatives on both sides of it are computed: if they are
// one function, that function is the derivative, at the corner too, by continuity.
#pragma once

#include "compiler/autodiff/scalar_adjoint.h"
#include "compiler/graph/affine.h"

namespace dnn::autodiff {

/// scalarAdjoint, with removable corners removed. `domain` is that of the op, with all operands that seed and value
/// read.
Result<std::vector<AccessAdjoint>> smoothAdjoint(const Builder& b, const graph::IndexDomain& domain, ExprRef body,
                                                 ExprRef seed, ExprRef value, const IsVaried& varied, bool strict);

} // namespace dnn::autodiff
