// In evaluations and predictions: a contraction with weights whose result only another contraction with weights reads
// becomes one contraction with the product of the weights, where that is less work.
//
//   %y = comp [n:N, h:64] add [k:8] { mul(%x[n, k], %w1[k, h]) }
//   %z = comp [n:N, o:4] add [h:64] { mul(add(%y[n, h], %b1[h]), %w2[h, o]) }
//      →
//   %w = comp [k:8, o:4] add [h:64] { mul(%w1[k, h], %w2[h, o]) }
//   %b = comp [o:4] add [h:64] { mul(%b1[h], %w2[h, o]) }
//   %s = comp [n:N, o:4] add [k:8] { mul(%x[n, k], %w[k, o]) }
//   %z = comp [n:N, o:4] { add(%s[n, o], %b[o]) }
//
// So linear layers without an activation between them cost what one does, and a convolution before a 1 × 1 convolution
// is one. In a step the gradients read what stands between. Sums are rounded in another order.
#include "compiler/algebra/reindex.h"
#include "compiler/transform/affine_reading.h"
#include "compiler/transform/pass_manager.h"
#include "compiler/transform/read_through.h"

#include <algorithm>

namespace dnn::transform {

namespace {

using algebra::Builder;
using graph::ExprRef;
using graph::IndexVar;
using graph::Op;
using graph::OpKind;
using graph::Value;

/// Index variables of the new weights: some reduced ones of the inner contraction, then some dims of the outer one.
struct WeightIndices {
  std::vector<uint32_t> inner;
  std::vector<uint32_t> outer;
};

class LinearFolder {
public:
  explicit LinearFolder(graph::Function& function)
      : function_(function), b_(function.module.exprs), constants_(function) {}

  Changed run() {
    graph::Uses uses(function_);
    for (Op* op : function_.body.ops) {
      if (op->kind == OpKind::Comp && op->reduction == Reduction::Add && !constants_.contains(op->results[0])) {
        foldOperands(*op, uses);
      }
      ops_.push_back(op);
    }
    if (!changed_) {
      return Changed::No;
    }
    function_.body.ops = std::move(ops_);
    return Changed::Yes;
  }

private:
  graph::Function& function_;
  Builder b_;
  Constants constants_;
  std::vector<Op*> ops_;
  bool changed_ = false;

  bool hasOneReader(const Value& y, const graph::Uses& uses) const {
    return y.def->kind == OpKind::Comp && !constants_.contains(&y) && uses.of(&y).size() == 1 && !uses.returned(&y);
  }

  bool isInner(const Value& y, const graph::Uses& uses) const {
    return hasOneReader(y, uses) && y.def->reduction == Reduction::Add && isFloat(y.type.dtype) &&
           algebra::isApply(y.def->body, ScalarOp::Mul);
  }

  /// The first operand with which that is possible: a contraction, or what adds a bias to one.
  void foldOperands(Op& op, const graph::Uses& uses) {
    for (Value* y : op.operands) {
      Op* whole = &op;
      if (hasOneReader(*y, uses) && isElementwise(*y->def)) {
        std::optional<ReadThrough> through = readThrough(b_, op, *y, function_.symbols);
        if (!through) {
          continue;
        }
        whole = function_.createOp(OpKind::Comp, through->operands, {op.results[0]->type}, op.loc);
        whole->dims = op.dims;
        whole->reduced = op.reduced;
        whole->reduction = op.reduction;
        whole->body = through->body;
        graph::normalizeOperands(b_.pool(), *whole);
      }
      for (Value* inner : std::vector(whole->operands)) {
        if (inner->def != nullptr && isInner(*inner, uses) && fold(*whole, *inner->def)) {
          op.reduced = whole->reduced;
          op.reduction = whole->reduction;
          op.body = whole->body;
          op.operands = whole->operands;
          changed_ = true;
          return;
        }
      }
    }
  }

  static uint32_t rank(const Op& op) { return static_cast<uint32_t>(op.dims.size()); }
  static uint32_t domainSize(const Op& op) { return rank(op) + static_cast<uint32_t>(op.reduced.size()); }
  static const IndexVar& indexOf(const Op& op, uint32_t i) {
    return i < rank(op) ? op.dims[i] : op.reduced[i - rank(op)];
  }
  double extent(const Op& op, uint32_t i) const {
    return static_cast<double>(indexOf(op, i).extent.max(function_.symbols));
  }
  double points(const Op& op, uint32_t from, uint32_t to) const {
    double product = 1;
    for (uint32_t i = from; i < to; ++i) {
      product *= extent(op, i);
    }
    return product;
  }

  /// The position in the outer op's domain at which dim d of the inner result stands.
  static uint32_t placeOf(const Reading& reading, uint32_t d) { return reading.element->args[d]->index; }

  bool fold(Op& outer, Op& inner) {
    std::optional<Reading> reading = readAffinely(b_, constants_, outer, *inner.results[0]);
    if (!reading || reading->whole != outer.body || outer.body->dtype != inner.body->dtype) {
      return false;
    }
    std::vector<bool> summed(domainSize(outer)); // reduced indices at which the element stands
    for (uint32_t d = 0; d < rank(inner); ++d) {
      summed[placeOf(*reading, d)] = true;
    }
    for (uint32_t q = rank(outer); q < domainSize(outer); ++q) {
      if (!summed[q]) {
        return false;
      }
    }
    for (size_t w = 0; w < 2; ++w) {
      ExprRef weights = inner.body->args[w], other = inner.body->args[1 - w];
      if (constants_.cover(weights, inner) && !dependsOnSummed(other, outer, inner, *reading)) {
        WeightIndices indices = weightIndices(outer, inner, *reading, weights);
        if (!pays(outer, inner, *reading, indices)) {
          return false;
        }
        rewrite(outer, inner, *reading, indices, weights, other);
        return true;
      }
    }
    return false;
  }

  static bool dependsOnSummed(ExprRef e, const Op& outer, const Op& inner, const Reading& reading) {
    for (uint32_t d = 0; d < rank(inner); ++d) {
      if (placeOf(reading, d) >= rank(outer) && graph::dependsOnIndex(e, d)) {
        return true;
      }
    }
    return false;
  }

  static bool scaleDependsOn(const Reading& reading, uint32_t i) {
    return reading.affine.scale != nullptr && graph::dependsOnIndex(reading.affine.scale, i);
  }

  static WeightIndices weightIndices(const Op& outer, const Op& inner, const Reading& reading, ExprRef weights) {
    WeightIndices indices;
    std::vector<bool> used(rank(outer));
    for (uint32_t i = 0; i < rank(outer); ++i) {
      used[i] = scaleDependsOn(reading, i);
    }
    for (uint32_t i = 0; i < domainSize(inner); ++i) {
      if (!graph::dependsOnIndex(weights, i)) {
        continue;
      }
      if (i >= rank(inner)) {
        indices.inner.push_back(i);
      } else if (placeOf(reading, i) < rank(outer)) {
        used[placeOf(reading, i)] = true;
      }
    }
    for (uint32_t i = 0; i < rank(outer); ++i) {
      if (used[i]) {
        indices.outer.push_back(i);
      }
    }
    return indices;
  }

  /// Fewer multiplications, those for the weights included, which are made in each call.
  bool pays(const Op& outer, const Op& inner, const Reading& reading, const WeightIndices& indices) const {
    double sums = points(outer, rank(outer), domainSize(outer)), weights = sums;
    for (uint32_t i : indices.inner) {
      weights *= extent(inner, i);
    }
    for (uint32_t i : indices.outer) {
      weights *= extent(outer, i);
    }
    double shift = reading.affine.shift == nullptr ? 0 : sums;
    for (uint32_t i = 0; i < rank(outer) && shift > 0; ++i) {
      shift *= graph::dependsOnIndex(reading.affine.shift, i) ? extent(outer, i) : 1;
    }
    double results = points(outer, 0, rank(outer));
    double before = points(inner, 0, domainSize(inner)) + results * sums;
    return results * points(inner, rank(inner), domainSize(inner)) + weights + shift < before;
  }

  void rewrite(Op& outer, const Op& inner, const Reading& reading, const WeightIndices& indices, ExprRef weights,
               ExprRef other) {
    std::vector<IndexVar> dims = outer.dims;
    DType dtype = outer.body->dtype;
    Value* product = makeWeights(outer, inner, reading, indices, weights);
    // The sum: dims of the outer op, reduced indices of the inner one.
    std::vector<ExprRef> ofInner(domainSize(inner), nullptr), subscripts;
    for (uint32_t i = 0; i < domainSize(inner); ++i) {
      uint32_t place = i < rank(inner) ? placeOf(reading, i) : rank(outer) + i - rank(inner);
      ofInner[i] = b_.pool().index(place);
    }
    for (uint32_t i : indices.inner) {
      subscripts.push_back(ofInner[i]);
    }
    for (uint32_t i : indices.outer) {
      subscripts.push_back(b_.pool().index(i));
    }
    std::vector<Value*> operands;
    ExprRef factor =
        algebra::substituteIndices(b_, algebra::moveOperands(b_, other, inner.operands, operands), ofInner);
    uint32_t position = algebra::operandPosition(operands, product);
    ExprRef body = b_.mul(factor, b_.pool().access(position, dtype, subscripts));
    if (reading.affine.shift == nullptr) {
      outer.reduced = inner.reduced;
      outer.body = body;
      outer.operands = std::move(operands);
      graph::normalizeOperands(b_.pool(), outer);
      return;
    }
    std::vector<ExprRef> shiftAt;
    Value* shift = makeShift(outer, reading, shiftAt);
    Value* sum = make(dims, inner.reduced, body, std::move(operands), outer);
    outer.operands = {sum, shift};
    outer.reduced.clear();
    outer.reduction = Reduction::None;
    outer.body = b_.add(b_.pool().access(0, dtype, algebra::indexRange(b_.pool(), 0, dims.size())),
                        b_.pool().access(1, dtype, shiftAt));
    graph::normalizeOperands(b_.pool(), outer);
  }

  /// Σ over the outer reduced indices of the inner weights times the scale.
  Value* makeWeights(const Op& outer, const Op& inner, const Reading& reading, const WeightIndices& indices,
                     ExprRef weights) {
    std::vector<IndexVar> dims;
    std::vector<ExprRef> ofInner(domainSize(inner), nullptr), ofOuter(domainSize(outer), nullptr);
    auto next = [&] { return b_.pool().index(static_cast<uint32_t>(dims.size())); };
    for (uint32_t i : indices.inner) {
      ofInner[i] = next();
      dims.push_back(indexOf(inner, i));
    }
    for (uint32_t i : indices.outer) {
      ofOuter[i] = next();
      dims.push_back(outer.dims[i]);
    }
    for (uint32_t q = rank(outer); q < domainSize(outer); ++q) {
      ofOuter[q] = b_.pool().index(static_cast<uint32_t>(dims.size()) + q - rank(outer));
    }
    for (uint32_t d = 0; d < rank(inner); ++d) {
      ofInner[d] = ofOuter[placeOf(reading, d)];
    }
    std::vector<Value*> operands;
    ExprRef body =
        algebra::substituteIndices(b_, algebra::moveOperands(b_, weights, inner.operands, operands), ofInner);
    if (reading.affine.scale != nullptr) {
      ExprRef scale = algebra::moveOperands(b_, reading.affine.scale, outer.operands, operands);
      body = b_.mul(body, algebra::substituteIndices(b_, scale, ofOuter));
    }
    return make(std::move(dims), outer.reduced, body, std::move(operands), outer);
  }

  /// Σ over the outer reduced indices of the shift; `at`: its subscripts in the outer op.
  Value* makeShift(const Op& outer, const Reading& reading, std::vector<ExprRef>& at) {
    std::vector<IndexVar> dims;
    std::vector<ExprRef> ofOuter(domainSize(outer), nullptr);
    for (uint32_t i = 0; i < rank(outer); ++i) {
      if (graph::dependsOnIndex(reading.affine.shift, i)) {
        ofOuter[i] = b_.pool().index(static_cast<uint32_t>(dims.size()));
        at.push_back(b_.pool().index(i));
        dims.push_back(outer.dims[i]);
      }
    }
    for (uint32_t q = rank(outer); q < domainSize(outer); ++q) {
      ofOuter[q] = b_.pool().index(static_cast<uint32_t>(dims.size()) + q - rank(outer));
    }
    std::vector<Value*> operands;
    ExprRef shift = algebra::moveOperands(b_, reading.affine.shift, outer.operands, operands);
    return make(std::move(dims), outer.reduced, algebra::substituteIndices(b_, shift, ofOuter), std::move(operands),
                outer);
  }

  Value* make(std::vector<IndexVar> dims, std::vector<IndexVar> reduced, ExprRef body, std::vector<Value*> operands,
              const Op& like) {
    TensorType type{body->dtype, {}, std::nullopt};
    for (const IndexVar& var : dims) {
      type.dims.push_back(var.extent);
    }
    Op* made = function_.createOp(OpKind::Comp, std::move(operands), {type}, like.loc);
    made->dims = std::move(dims);
    made->reduced = std::move(reduced);
    made->reduction = Reduction::Add;
    made->body = body;
    graph::normalizeOperands(b_.pool(), *made);
    ops_.push_back(made);
    if (constants_.cover(body, *made)) {
      constants_.insert(made->results[0]);
    }
    return made->results[0];
  }
};

} // namespace

Result<Changed> foldLinear(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    if (function->kind == graph::FunctionKind::Eval || function->kind == graph::FunctionKind::Predict) {
      changed = LinearFolder(*function).run() == Changed::Yes ? Changed::Yes : changed;
    }
  }
  return changed;
}

} // namespace dnn::transform
