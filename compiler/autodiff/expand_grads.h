// Replaces every grad op by the ops that compute it, by reverse accumulation over the ops between the values it is
// taken with respect to and the loss.
//
//   %g = grad %loss wrt (%w) : f32[4]      →      %d_y = comp …      %g = comp …
//
// Grads are expanded in order, so a later one differentiates through what an earlier one became: to any order.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/support/result.h"

namespace dnn::autodiff {

/// Returns whether there was a grad op. An error is a path without a derivative, at the source line of its op, or a
/// loss that does not depend on a value.
Result<bool> expandGrads(graph::Module& module);

} // namespace dnn::autodiff
