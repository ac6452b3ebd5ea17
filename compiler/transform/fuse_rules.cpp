#include "compiler/transform/fuse_rules.h"

#include "compiler/algebra/cost.h"
#include "compiler/schedule/analysis.h"
#include "compiler/schedule/block_form.h"
#include "compiler/schedule/tile_windows.h"

#include <algorithm>
#include <unordered_set>

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

const Value* prologueSource(const Op& op, std::span<const Symbol> symbols) {
  constexpr int64_t smallPart = 16;
  constexpr int mostCost = 24; // of what is computed at each place
  if (op.kind != OpKind::Comp || op.reduction != Reduction::None || !isFloat(op.body->dtype)) {
    return nullptr;
  }
  auto elements = [&](const TensorType& type) {
    int64_t count = 1;
    for (const Dim& dim : type.dims) {
      count *= dim.max(symbols);
    }
    return count;
  };
  const Value* source = nullptr;
  for (const Value* v : op.operands) {
    if (elements(v->type) > elements(op.results[0]->type) / smallPart) {
      if (source != nullptr || v->type.dims != op.results[0]->type.dims) {
        return nullptr;
      }
      source = v;
    }
  }
  bool plain = source != nullptr;
  int cost = 0;
  std::unordered_set<ExprRef> ofSource; // expressions that read it
  graph::forEachNode(op.body, [&](ExprRef e) {
    if (e->kind == ExprKind::Access) {
      bool own = op.operands[e->operand] == source;
      for (size_t d = 0; d < e->args.size(); ++d) {
        plain &= e->args[d]->kind == ExprKind::Index && (!own || e->args[d]->index == d);
      }
      plain &= !e->fill;
      if (own) {
        ofSource.insert(e);
      }
      return;
    }
    plain &= e->kind != ExprKind::Draw;
    bool reads = std::ranges::any_of(e->args, [&](ExprRef arg) { return ofSource.contains(arg); });
    if (reads) {
      ofSource.insert(e);
      cost += e->kind == ExprKind::Apply ? algebra::cost(e->op) : 1;
    }
  });
  return plain && cost <= mostCost ? source : nullptr;
}

bool copiesWithBorder(const Op& op, const Value* v, std::span<const Symbol> symbols) {
  if (op.kind != OpKind::Comp || op.reduction != Reduction::Add || !schedule::isContraction(op, symbols)) {
    return false;
  }
  size_t accesses = 0;
  bool border = true;
  graph::forEachNode(op.body, [&](ExprRef e) {
    if (e->kind != ExprKind::Access || op.operands[e->operand] != v) {
      return;
    }
    ++accesses;
    bool slides = std::ranges::any_of(e->args, [&](ExprRef subscript) {
      std::vector<bool> used = schedule::indicesOf(subscript, op.dims.size() + op.reduced.size());
      auto reduced = used.begin() + static_cast<std::ptrdiff_t>(op.dims.size());
      return std::find(used.begin(), reduced, true) != reduced && std::find(reduced, used.end(), true) != used.end();
    });
    border &= e->fill.has_value() && slides;
  });
  std::vector<ExprRef> factors = {op.body};
  bool isFactor = false;
  while (!factors.empty()) {
    ExprRef e = factors.back();
    factors.pop_back();
    isFactor |= e->kind == ExprKind::Access && op.operands[e->operand] == v;
    if (e->kind == ExprKind::Apply && e->op == ScalarOp::Mul) {
      factors.insert(factors.end(), e->args.begin(), e->args.end());
    }
  }
  return accesses == 1 && border && isFactor;
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

bool reduceWindows(std::span<Op* const> consumers, const Value* v) {
  std::optional<std::vector<int64_t>> windows =
      consumers.empty() ? std::nullopt : schedule::tileWindows(*consumers[0], v);
  return windows && std::ranges::all_of(consumers, [&](const Op* op) {
           return schedule::tileWindows(*op, v) == windows &&
                  op->results[0]->type.dims == consumers[0]->results[0]->type.dims;
         });
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
