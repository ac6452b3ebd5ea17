// Moving expressions from one op to another: other index variables, other operand positions.
#pragma once

#include "compiler/algebra/builder.h"
#include "compiler/graph/graph.h"

#include <functional>
#include <span>
#include <vector>

namespace dnn::algebra {

/// e with index variable i replaced by indices[i] (nullptr = unchanged); rebuilt with the builder's identities.
ExprRef substituteIndices(const Builder& b, ExprRef e, std::span<const ExprRef> indices);

/// Position of value among operands, appended if new.
uint32_t operandPosition(std::vector<graph::Value*>& operands, graph::Value* value);

/// e as it reads in an op with `to` as operands, where `from` are the operands it counts now.
ExprRef moveOperands(const Builder& b, ExprRef e, std::span<graph::Value* const> from, std::vector<graph::Value*>& to);

/// Rebuilds e bottom-up with the builder; replace(node, args) gives the new node or nullptr for the same node of args.
ExprRef rebuild(const Builder& b, ExprRef e,
                const std::function<ExprRef(ExprRef, const std::vector<ExprRef>&)>& replace);
/// The node with other arguments, with the builder's identities.
ExprRef withArgs(const Builder& b, ExprRef e, const std::vector<ExprRef>& args);

/// Index variables first, first + 1, … as expressions.
std::vector<ExprRef> indexRange(ExprPool& pool, uint32_t first, size_t count);

} // namespace dnn::algebra
