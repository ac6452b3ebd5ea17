#include "compiler/transform/fuse_rules.h"

#include "compiler/schedule/analysis.h"
#include "compiler/schedule/block_form.h"

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

bool sumsBlocks(const Op& consumer, const Value* v) {
  size_t dims = consumer.dims.size(), reduced = consumer.reduced.size();
  if (consumer.kind != OpKind::Comp || consumer.reduction != Reduction::Add || dims < 2 || reduced == 0 ||
      v->type.rank() != dims + reduced) {
    return false;
  }
  bool sums = false, other = false;
  graph::forEachNode(consumer.body, [&](ExprRef e) {
    if (e->kind != ExprKind::Access || consumer.operands[e->operand] != v) {
      return;
    }
    size_t next = 0; // of the dims
    bool ordered = e->args[0]->kind == ExprKind::Index && e->args.back()->kind == ExprKind::Index && !e->fill;
    for (size_t s = 0, within = 0; ordered && s < e->args.size(); ++s) {
      ordered = e->args[s]->kind == ExprKind::Index;
      bool isNext = ordered && e->args[s]->index == next && (within == 0 || within == reduced);
      bool isReduced = ordered && within < reduced && e->args[s]->index == dims + within;
      ordered = isNext || isReduced;
      next += isNext ? 1 : 0;
      within += isReduced ? 1 : 0;
    }
    (ordered && e->args[0]->index == 0 && e->args.back()->index == dims - 1 ? sums : other) = true;
  });
  return sums && !other;
}

bool fitsBlocks(const Op& sum, const Op& op) {
  if (op.kind != OpKind::Comp) {
    return false;
  }
  if (schedule::sameExtents(op.dims, sum.dims)) {
    return op.reduction == Reduction::None || schedule::sameExtents(op.reduced, sum.reduced);
  }
  size_t reduced = sum.reduced.size();
  if (op.reduction != Reduction::None || op.dims.size() != sum.dims.size() + reduced) {
    return false;
  }
  for (size_t rows = 1; rows < sum.dims.size(); ++rows) {
    std::vector<graph::IndexVar> wide = sum.dims;
    wide.insert(wide.begin() + static_cast<std::ptrdiff_t>(rows), sum.reduced.begin(), sum.reduced.end());
    if (schedule::sameExtents(op.dims, wide)) {
      return true;
    }
  }
  return false;
}

} // namespace dnn::transform
