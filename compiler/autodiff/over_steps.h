// Reading all steps of a scan at once: an op of the body, or a part of it, as an op outside of the loop.
#pragma once

#include "compiler/graph/graph.h"

#include <functional>
#include <vector>

namespace dnn::autodiff {

/// What the values of a scan's body are outside of the loop.
struct StepValues {
  /// The step's number.
  std::function<bool(const graph::Value*)> isCounter;
  /// The values of all steps, stacked; nullptr for a value that is no step's.
  std::function<graph::Value*(graph::Value*)> stackOf;
};

/// e, an expression of op, over a domain that has the step as one more index at this position: the values of a step are
/// read from their stacks at it. `operands` are those of the new op, and grow.
graph::ExprRef overSteps(graph::ExprPool& pool, graph::ExprRef e, const graph::Op& op,
                         std::vector<graph::Value*>& operands, uint32_t step, const StepValues& values);

} // namespace dnn::autodiff
