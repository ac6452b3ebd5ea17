#include "compiler/autodiff/over_steps.h"

#include "compiler/algebra/reindex.h"

namespace dnn::autodiff {

using graph::ExprKind;
using graph::ExprRef;
using graph::Value;

ExprRef overSteps(graph::ExprPool& pool, ExprRef e, const graph::Op& op, std::vector<Value*>& operands, uint32_t step,
                  const StepValues& values) {
  return graph::rewrite(pool, e, [&](ExprRef node, const std::vector<ExprRef>& args) -> ExprRef {
    if (node->kind == ExprKind::Index) {
      return pool.index(node->index >= step ? node->index + 1 : node->index);
    }
    if (node->kind != ExprKind::Access) {
      return nullptr;
    }
    Value* v = op.operands[node->operand];
    if (values.isCounter(v)) {
      return pool.index(step);
    }
    std::vector<ExprRef> subscripts = args;
    if (Value* stack = values.stackOf(v)) {
      subscripts.insert(subscripts.begin(), pool.index(step));
      v = stack;
    }
    return pool.access(algebra::operandPosition(operands, v), node->dtype, subscripts, node->fill);
  });
}

} // namespace dnn::autodiff
