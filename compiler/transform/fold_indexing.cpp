// Reads through comps that only say where a value comes from, and drops reductions that pick one point.
//
//   %b = comp [n:N, k:4] : f32 { %x[k] }         users read %x[k]
//   %1 = comp [] : f32 { 1.0 }                   users read 1.0
//   comp [n:N] add [k:4] { select(eq(%t[n], k), %p[n, k], 0.0) }      →      comp [n:N] { %p[n, %t[n]] }
//
// A comp that copies a whole tensor is the tensor.
#include "compiler/algebra/reindex.h"
#include "compiler/graph/affine.h"
#include "compiler/transform/pass_manager.h"
#include "compiler/transform/read_through.h"

#include <algorithm>
#include <unordered_map>

namespace dnn::transform {

namespace {

using algebra::Builder;
using algebra::isApply;
using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::OpKind;
using graph::Value;

/// Only a place, or nothing at all: constants, extents, and reads at computed (not read) places.
bool isIndexing(const Op& op) {
  if (!isElementwise(op)) {
    return false;
  }
  if (op.body->kind != ExprKind::Access) {
    return op.operands.empty() && op.body->kind != ExprKind::Draw && op.body->kind != ExprKind::Apply;
  }
  bool reads = std::ranges::any_of(op.body->args, [](ExprRef subscript) {
    bool found = false;
    graph::forEachNode(subscript, [&](ExprRef e) { found |= e->kind == ExprKind::Access; });
    return found;
  });
  return !reads;
}

bool isCopy(const Op& op) {
  if (!isIndexing(op) || op.body->kind != ExprKind::Access) {
    return false;
  }
  for (size_t d = 0; d < op.body->args.size(); ++d) {
    if (op.body->args[d]->kind != ExprKind::Index || op.body->args[d]->index != d) {
      return false;
    }
  }
  return op.operands[0]->type == op.results[0]->type;
}

class IndexFolder {
public:
  explicit IndexFolder(graph::Function& function) : function_(function), b_(function.module.exprs) {}

  Changed run() {
    bool regions = false;
    graph::forEachOp(function_.body, [&](Op* op) {
      regions |= op->body_block != nullptr;
      replaceCopies(*op);
      if (op->body == nullptr) {
        return;
      }
      foldOperands(*op);
      while (collapseReduction(*op)) {
        changed_ = Changed::Yes;
      }
      if (isCopy(*op)) {
        originalOf_[op->results[0]] = op->operands[0];
      }
    });
    for (Value*& returned : function_.returns) {
      replaceCopy(returned);
    }
    if (regions) {
      graph::refreshRegions(function_);
    }
    return changed_;
  }

private:
  bool replaceCopy(Value*& v) {
    auto original = originalOf_.find(v);
    if (original == originalOf_.end()) {
      return false;
    }
    v = original->second;
    changed_ = Changed::Yes;
    return true;
  }

  /// Users come behind what they use, so one walk over the function replaces all.
  void replaceCopies(Op& user) {
    bool any = false;
    for (Value*& operand : user.operands) {
      any |= replaceCopy(operand);
    }
    if (any && user.body != nullptr) {
      graph::normalizeOperands(b_.pool(), user); // the original may be an operand already
    }
  }

  void foldOperands(Op& user) {
    for (size_t i = 0; i < user.operands.size();) {
      const Value& value = *user.operands[i];
      bool inPlaces = std::ranges::any_of(user.at, [&](ExprRef place) {
        bool found = false;
        graph::forEachNode(
            place, [&](ExprRef e) { found |= e->kind == ExprKind::Access && user.operands[e->operand] == &value; });
        return found;
      });
      if (!isIndexing(*value.def) || inPlaces) {
        ++i;
        continue;
      }
      std::optional<ReadThrough> read = readThrough(b_, user, value, function_.symbols);
      if (!read) {
        ++i;
        continue;
      }
      user.body = read->body;
      user.operands = std::move(read->operands);
      graph::normalizeOperands(b_.pool(), user);
      changed_ = Changed::Yes;
      i = 0;
    }
  }

  /// Σ_k (k == e and c ? f(k) : 0) = (0 ≤ e < K and c) ? f(e) : 0
  bool collapseReduction(Op& op) {
    if (op.kind != OpKind::Comp || op.reduction != Reduction::Add || !isApply(op.body, ScalarOp::Select) ||
        !algebra::isConstant(op.body->args[2], 0)) {
      return false;
    }
    std::vector<ExprRef> conditions = {op.body->args[0]};
    for (size_t i = 0; i < conditions.size();) {
      if (isApply(conditions[i], ScalarOp::And)) {
        ExprRef both = conditions[i];
        conditions[i] = both->args[0];
        conditions.push_back(both->args[1]);
      } else {
        ++i;
      }
    }
    for (ExprRef condition : conditions) {
      for (size_t r = 0; r < op.reduced.size(); ++r) {
        auto position = static_cast<uint32_t>(op.dims.size() + r);
        if (ExprRef point = solutionOf(condition, position)) {
          takePoint(op, r, point);
          return true;
        }
      }
    }
    return false;
  }

  /// The e of index == e, written in any affine way with factor ±1.
  ExprRef solutionOf(ExprRef condition, uint32_t index) const {
    if (!isApply(condition, ScalarOp::Eq) || condition->args[0]->dtype != DType::I32) {
      return nullptr;
    }
    std::optional<graph::LinearForm> form = graph::linearForm(b_.sub(condition->args[0], condition->args[1]));
    if (!form) {
      return nullptr;
    }
    int64_t factor = form->factorOf(index);
    if (factor != 1 && factor != -1) {
      return nullptr;
    }
    graph::LinearForm rest;
    rest.constant = form->constant * -factor;
    for (const graph::LinearTerm& term : form->terms) {
      if (term.atom->kind == ExprKind::Index && term.atom->index == index) {
        continue;
      }
      if (graph::dependsOnIndex(term.atom, index)) {
        return nullptr;
      }
      rest.terms.push_back({term.atom, term.factor * -factor});
    }
    return graph::toExpr(b_.pool(), rest);
  }

  void takePoint(Op& op, size_t r, ExprRef point) {
    graph::RangeAnalysis ranges(op, function_.symbols);
    const Dim extent = op.reduced[r].extent;
    ExprRef inside = b_.pool().boolean(true);
    if (!ranges.neverNegative(point)) {
      inside = b_.pool().apply(ScalarOp::Ge, {point, b_.pool().integer(0)});
    }
    if (!ranges.alwaysBelow(point, extent)) {
      ExprRef limit = graph::toExpr(b_.pool(), {extent, {}});
      inside = b_.both(inside, b_.pool().apply(ScalarOp::Lt, {point, limit}));
    }
    // Indices behind the dropped one move up.
    auto position = static_cast<uint32_t>(op.dims.size() + r);
    std::vector<ExprRef> up = algebra::indexRange(b_.pool(), 0, op.dims.size() + op.reduced.size());
    for (size_t i = position + 1; i < up.size(); ++i) {
      up[i] = b_.pool().index(static_cast<uint32_t>(i - 1));
    }
    up[position] = algebra::substituteIndices(b_, point, up);
    ExprRef body = algebra::substituteIndices(b_, op.body, up);
    body = b_.when(algebra::substituteIndices(b_, inside, up), body);
    op.reduced.erase(op.reduced.begin() + static_cast<std::ptrdiff_t>(r));
    op.reduction = op.reduced.empty() ? Reduction::None : Reduction::Add;
    op.body = body;
    fillReads(op);
    graph::normalizeOperands(b_.pool(), op);
  }

  /// Reads at the point may now leave their tensor where the guard is false.
  void fillReads(Op& op) const {
    graph::RangeAnalysis ranges(op, function_.symbols);
    op.body = algebra::rebuild(b_, op.body, [&](ExprRef e, const std::vector<ExprRef>& args) -> ExprRef {
      if (e->kind != ExprKind::Access) {
        return nullptr;
      }
      std::optional<double> fill = e->fill;
      const TensorType& type = op.operands[e->operand]->type;
      for (size_t d = 0; d < args.size() && !fill; ++d) {
        if (!ranges.alwaysInRange(args[d], type.dims[d])) {
          fill = 0;
        }
      }
      return b_.pool().access(e->operand, e->dtype, args, fill);
    });
  }

  graph::Function& function_;
  Builder b_;
  std::unordered_map<const Value*, Value*> originalOf_; // of copies
  Changed changed_ = Changed::No;
};

} // namespace

Result<Changed> foldIndexing(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    changed = changed | IndexFolder(*function).run();
  }
  return changed;
}

} // namespace dnn::transform
