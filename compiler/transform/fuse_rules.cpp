#include "compiler/transform/fuse_rules.h"

#include "compiler/schedule/analysis.h"

#include <algorithm>

namespace dnn::transform {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::OpKind;
using graph::Value;

bool isFusible(const Op& op) {
  return op.kind == OpKind::Comp || op.kind == OpKind::Scatter || op.kind == OpKind::Concat;
}

bool fitsContraction(const Op& anchor, std::span<Op* const> others) {
  auto elementwiseOverResult = [&](const Op* op) {
    if (op->kind != OpKind::Comp || op->reduction != Reduction::None || op->dims.size() != anchor.dims.size()) {
      return false;
    }
    for (size_t d = 0; d < op->dims.size(); ++d) {
      if (!(op->dims[d].extent == anchor.dims[d].extent)) {
        return false;
      }
    }
    return true;
  };
  return std::ranges::all_of(others, elementwiseOverResult);
}

bool readsInRowOrder(const Op& consumer, const Value* v) {
  if (schedule::usesPointwise(consumer, v)) {
    return true;
  }
  if (consumer.kind != OpKind::Comp || v->type.isScalar()) {
    return false;
  }
  // The rows of the consumer: its first dimension, or what it reduces if its result is a scalar.
  size_t domain = consumer.dims.size() + consumer.reduced.size();
  if (domain == 0) {
    return false;
  }
  const graph::IndexVar& rows = consumer.dims.empty() ? consumer.reduced[0] : consumer.dims[0];
  bool inOrder = rows.extent == v->type.dims[0];
  graph::forEachNode(consumer.body, [&](ExprRef e) {
    if (e->kind == ExprKind::Access && consumer.operands[e->operand] == v) {
      inOrder &= e->args[0]->kind == ExprKind::Index && e->args[0]->index == 0;
    }
  });
  return inOrder;
}

} // namespace dnn::transform
