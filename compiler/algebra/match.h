// Does one expression compute what another op already has, at some element?
#pragma once

#include "compiler/algebra/builder.h"
#include "compiler/graph/graph.h"

#include <span>
#include <vector>

namespace dnn::algebra {

/// What the index variables of a pattern stand for in the target; nullptr = not yet known.
using Binding = std::vector<ExprRef>;

/// Whether target is pattern with its index variables replaced; fills in the binding. Operands are compared as values.
/// a + b matches b + a. On failure the binding is as it was.
bool match(ExprRef pattern, std::span<graph::Value* const> patternOperands, ExprRef target,
           std::span<graph::Value* const> targetOperands, Binding& binding);

} // namespace dnn::algebra
