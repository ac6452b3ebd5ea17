// One gradient: the walk back from its loss.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/support/result.h"

#include <span>
#include <unordered_set>
#include <vector>

namespace dnn::autodiff {

struct ExpandedGrad {
  std::vector<graph::Op*> ops;        ///< to put in the grad's place
  std::vector<graph::Value*> results; ///< results[i] replaces its i-th result
};

/// Expands one grad op. One in a scan's body is a gradient within the step: carries are values like others there, and
/// what is computed outside of the scans around it is differentiated as what is computed in the step.
/// `before`: the ops before it, those of the blocks around its block first. `around`: the scans that it stands in.
/// `derived`: the ops that differentiation made; grows.
Result<ExpandedGrad> expandGrad(graph::Function& function, const graph::Op& grad, std::span<graph::Op* const> before,
                                std::span<graph::Op* const> around, std::unordered_set<const graph::Op*>& derived);

} // namespace dnn::autodiff
