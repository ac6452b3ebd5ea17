#include "compiler/algebra/reindex.h"

#include <algorithm>

namespace dnn::algebra {

using graph::Expr;
using graph::ExprKind;
using graph::Value;

ExprRef withArgs(const Builder& b, ExprRef e, const std::vector<ExprRef>& args) {
  if (e->kind == ExprKind::Apply) {
    return b.make(e->op, args);
  }
  if (e->kind == ExprKind::Cast) {
    return b.cast(e->dtype, args[0]);
  }
  if (e->args == args) {
    return e;
  }
  Expr copy = *e;
  copy.args = args;
  return b.pool().intern(std::move(copy));
}

ExprRef rebuild(const Builder& b, ExprRef e,
                const std::function<ExprRef(ExprRef, const std::vector<ExprRef>&)>& replace) {
  return graph::rewrite(b.pool(), e, [&](ExprRef node, const std::vector<ExprRef>& args) {
    ExprRef made = replace(node, args);
    return made != nullptr ? made : withArgs(b, node, args);
  });
}

ExprRef substituteIndices(const Builder& b, ExprRef e, std::span<const ExprRef> indices) {
  return rebuild(b, e, [&](ExprRef node, const std::vector<ExprRef>&) -> ExprRef {
    bool replaced = node->kind == ExprKind::Index && node->index < indices.size();
    return replaced ? indices[node->index] : nullptr;
  });
}

uint32_t operandPosition(std::vector<Value*>& operands, Value* value) {
  auto found = std::ranges::find(operands, value);
  if (found == operands.end()) {
    operands.push_back(value);
    return static_cast<uint32_t>(operands.size() - 1);
  }
  return static_cast<uint32_t>(found - operands.begin());
}

ExprRef moveOperands(const Builder& b, ExprRef e, std::span<Value* const> from, std::vector<Value*>& to) {
  return graph::rewrite(b.pool(), e, [&](ExprRef node, const std::vector<ExprRef>& args) -> ExprRef {
    if (node->kind != ExprKind::Access) {
      return nullptr;
    }
    return b.pool().access(operandPosition(to, from[node->operand]), node->dtype, args, node->fill);
  });
}

std::vector<ExprRef> indexRange(ExprPool& pool, uint32_t first, size_t count) {
  std::vector<ExprRef> indices;
  for (size_t i = 0; i < count; ++i) {
    indices.push_back(pool.index(first + static_cast<uint32_t>(i)));
  }
  return indices;
}

} // namespace dnn::algebra
