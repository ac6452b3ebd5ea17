// In evaluations and predictions: a factor and a shift behind a contraction with weights, all of them made of
// parameters and states alone, go into the weights and one shift. So batch norm by its running statistics costs nothing
// per element.
//
//   %y = comp [n:N, i:8, o:4] add [u:3, c:3] { mul(%x[n, i + u - 1, c; 0.0], %w[u, c, o]) }
//   %z = comp [n:N, i:8, o:4] { tanh(add(mul(sub(%y[n, i, o], %m[o]), rsqrt(%v[o])), %b[o])) }
//      →
//   %w1 = comp [u:3, c:3, o:4] { mul(%w[u, c, o], rsqrt(%v[o])) }
//   %b1 = comp [o:4] { add(mul(neg(%m[o]), rsqrt(%v[o])), %b[o]) }
//   %y = comp … { mul(%x[n, i + u - 1, c; 0.0], %w1[u, c, o]) }
//   %z = comp … { tanh(add(%y[n, i, o], %b1[o])) }
//
// A reshape that makes one dimension of neighbours may stand between the two (channels in groups). Factor and shift
// depend on no index that the weights lack, the contraction has no other reader, and it has more elements than the
// weights, which are multiplied in each call. Factors that are numbers stay: they cost nothing. In a step the gradient
// reads what stands between, so nothing would be saved there. As with every sum that is rounded in another order, the
// result is equal up to rounding unless weight times factor leaves the range of its type.
#include "compiler/algebra/reindex.h"
#include "compiler/transform/affine_reading.h"
#include "compiler/transform/pass_manager.h"

#include <algorithm>
#include <unordered_set>

namespace dnn::transform {

namespace {

using algebra::Builder;
using algebra::isApply;
using graph::ExprKind;
using graph::ExprRef;
using graph::IndexVar;
using graph::Op;
using graph::OpKind;
using graph::Value;

class AffineFolder {
public:
  explicit AffineFolder(graph::Function& function)
      : function_(function), b_(function.module.exprs), constants_(function) {}

  Changed run() {
    graph::Uses uses(function_);
    std::vector<Op*> ops;
    for (Op* op : function_.body.ops) {
      if (op->kind == OpKind::Comp && op->reduction == Reduction::Add && !constants_.contains(op->results[0])) {
        fold(*op, uses, ops);
      }
      ops.push_back(op);
    }
    if (!changed_) {
      return Changed::No;
    }
    // What weights are made of must be defined before the contractions.
    std::ranges::stable_sort(ops, {}, [&](const Op* op) {
      bool persistent = op->kind == OpKind::Param || op->kind == OpKind::State;
      return persistent                                                    ? 0
             : op->results.empty() || !constants_.contains(op->results[0]) ? 3
             : made_.contains(op)                                          ? 2
                                                                           : 1;
    });
    function_.body.ops = std::move(ops);
    return Changed::Yes;
  }

private:
  void fold(Op& contraction, const graph::Uses& uses, std::vector<Op*>& before) {
    const Value* y = contraction.results[0];
    Op* next = onlyReader(*y, uses);
    const Value* seen = y;
    if (next != nullptr && next->kind == OpKind::Reshape) { // groups of channels are all channels there
      seen = next->results[0];
      next = onlyReader(*seen, uses);
    }
    std::optional<Merged> merged = mergedDims(y->type.dims, seen->type.dims);
    if (next == nullptr || next->kind != OpKind::Comp || !merged || !isFloat(y->type.dtype) ||
        !isApply(contraction.body, ScalarOp::Mul)) {
      return;
    }
    Op& reader = *next;
    std::optional<Reading> reading = readAffinely(b_, constants_, reader, *seen);
    if (!reading || reading->affine.scale == nullptr || !readsTensor(reading->affine.scale)) {
      return;
    }
    ExprRef weights = weightsOf(contraction, reader, *reading, *merged);
    if (weights == nullptr) {
      return;
    }
    foldFactor(contraction, reader, *reading, weights, *merged, before);
    foldShift(reader, *reading, before);
    changed_ = true;
  }

  static Op* onlyReader(const Value& v, const graph::Uses& uses) {
    const std::vector<Op*>& readers = uses.of(&v);
    return readers.size() == 1 && !uses.returned(&v) ? readers[0] : nullptr;
  }

  /// For each dimension that the reader sees, those of the contraction that it stands for, outermost first.
  struct MergedDim {
    std::vector<uint32_t> dims;
    std::vector<int64_t> extents; ///< of all but the first
  };
  using Merged = std::vector<MergedDim>;

  /// None where the reshape does more than to make one dimension of neighbours.
  static std::optional<Merged> mergedDims(const std::vector<Dim>& from, const std::vector<Dim>& to) {
    Merged merged;
    uint32_t next = 0;
    for (const Dim& dim : to) {
      if (next == from.size()) {
        return std::nullopt;
      }
      Dim extent = from[next];
      MergedDim one{{next++}, {}};
      while (!(extent == dim)) {
        if (next == from.size() || !from[next].isStatic()) {
          return std::nullopt;
        }
        one.extents.push_back(from[next].constant());
        extent = extent * from[next].constant();
        one.dims.push_back(next++);
      }
      merged.push_back(std::move(one));
    }
    return next == from.size() ? std::optional(std::move(merged)) : std::nullopt;
  }

  static bool readsTensor(ExprRef e) {
    bool found = false;
    graph::forEachNode(e, [&](ExprRef node) { found |= node->kind == ExprKind::Access; });
    return found;
  }

  // The contraction.

  /// The factor of the body that reads constant weights, each element of them at one place, by indices that scale and
  /// shift need; nullptr if there is none or it would not pay.
  ExprRef weightsOf(const Op& contraction, const Op& reader, const Reading& reading, const Merged& merged) const {
    for (ExprRef factor : contraction.body->args) {
      if (factor->kind != ExprKind::Access || factor->fill ||
          !constants_.contains(contraction.operands[factor->operand]) || !distinctIndices(factor->args)) {
        continue;
      }
      bool whole = true;
      int64_t weights = 1;
      for (size_t d = 0; d < factor->args.size(); ++d) {
        const Dim& extent = contraction.operands[factor->operand]->type.dims[d];
        whole = whole && extent == extentOf(contraction, factor->args[d]->index);
        weights *= extent.max(function_.symbols);
      }
      int64_t elements = 1;
      for (const IndexVar& var : contraction.dims) {
        elements *= var.extent.max(function_.symbols);
      }
      if (whole && elements > weights && fits(reader, reading, factor, merged)) {
        return factor;
      }
    }
    return nullptr;
  }

  static const Dim& extentOf(const Op& op, uint32_t index) {
    return index < op.dims.size() ? op.dims[index].extent : op.reduced[index - op.dims.size()].extent;
  }

  /// Every index of scale and shift is one at which the contraction's element stands, and the weights have it.
  bool fits(const Op& reader, const Reading& reading, ExprRef weights, const Merged& merged) const {
    for (uint32_t i = 0; i < reader.dims.size() + reader.reduced.size(); ++i) {
      bool needed = graph::dependsOnIndex(reading.affine.scale, i) ||
                    (reading.affine.shift != nullptr && graph::dependsOnIndex(reading.affine.shift, i));
      if (needed && placeOf(i, reading, weights, merged) == nullptr) {
        return false;
      }
    }
    return true;
  }

  /// Index i of the reader by the indices of the weights' own dimensions; nullptr if they lack it.
  ExprRef placeOf(uint32_t i, const Reading& reading, ExprRef weights, const Merged& merged) const {
    for (size_t d = 0; d < reading.element->args.size(); ++d) {
      if (reading.element->args[d]->index != i) {
        continue;
      }
      ExprRef place = nullptr;
      for (size_t part = 0; part < merged[d].dims.size(); ++part) {
        auto at = std::ranges::find(weights->args, merged[d].dims[part], &graph::Expr::index);
        if (at == weights->args.end()) {
          return nullptr;
        }
        ExprRef index = b_.pool().index(static_cast<uint32_t>(at - weights->args.begin()));
        place = place == nullptr ? index : b_.add(b_.mul(place, b_.pool().integer(merged[d].extents[part - 1])), index);
      }
      return place;
    }
    return nullptr;
  }

  // The new ops.

  void foldFactor(Op& contraction, const Op& reader, const Reading& reading, ExprRef weights, const Merged& merged,
                  std::vector<Op*>& before) {
    Value* old = contraction.operands[weights->operand];
    std::vector<Value*> operands = {old};
    ExprRef scale = algebra::moveOperands(b_, reading.affine.scale, reader.operands, operands);
    std::vector<ExprRef> replacement(reader.dims.size() + reader.reduced.size(), nullptr);
    for (uint32_t i = 0; i < replacement.size(); ++i) {
      replacement[i] = placeOf(i, reading, weights, merged);
    }
    std::vector<IndexVar> dims;
    for (ExprRef subscript : weights->args) {
      dims.push_back(subscript->index < contraction.dims.size()
                         ? contraction.dims[subscript->index]
                         : contraction.reduced[subscript->index - contraction.dims.size()]);
    }
    ExprRef element = b_.pool().access(0, weights->dtype, algebra::indexRange(b_.pool(), 0, weights->args.size()));
    Value* scaled = make(std::move(dims), b_.mul(element, algebra::substituteIndices(b_, scale, replacement)),
                         std::move(operands), weights->dtype, contraction.loc, before);
    uint32_t position = algebra::operandPosition(contraction.operands, scaled);
    contraction.body = algebra::rebuild(b_, contraction.body, [&](ExprRef e, const std::vector<ExprRef>& args) {
      return e == weights ? b_.pool().access(position, e->dtype, args) : nullptr;
    });
    graph::normalizeOperands(b_.pool(), contraction);
  }

  void foldShift(Op& reader, const Reading& reading, std::vector<Op*>& before) {
    ExprRef sum = reading.element;
    if (reading.affine.shift != nullptr) {
      std::vector<IndexVar> dims;
      std::vector<ExprRef> subscripts;
      std::vector<ExprRef> replacement(reader.dims.size() + reader.reduced.size(), nullptr);
      for (uint32_t i = 0; i < replacement.size(); ++i) {
        if (graph::dependsOnIndex(reading.affine.shift, i)) {
          replacement[i] = b_.pool().index(static_cast<uint32_t>(dims.size()));
          subscripts.push_back(b_.pool().index(i));
          dims.push_back(i < reader.dims.size() ? reader.dims[i] : reader.reduced[i - reader.dims.size()]);
        }
      }
      DType dtype = reading.element->dtype;
      Value* shift = make(std::move(dims), algebra::substituteIndices(b_, reading.affine.shift, replacement),
                          reader.operands, dtype, reader.loc, before);
      sum = b_.add(sum, b_.pool().access(algebra::operandPosition(reader.operands, shift), dtype, subscripts));
    }
    reader.body = algebra::rebuild(
        b_, reader.body, [&](ExprRef e, const std::vector<ExprRef>&) { return e == reading.whole ? sum : nullptr; });
    graph::normalizeOperands(b_.pool(), reader);
  }

  Value* make(std::vector<IndexVar> dims, ExprRef body, std::vector<Value*> operands, DType dtype, graph::Loc loc,
              std::vector<Op*>& before) {
    TensorType type{dtype, {}, std::nullopt};
    for (const IndexVar& var : dims) {
      type.dims.push_back(var.extent);
    }
    Op* made = function_.createOp(OpKind::Comp, std::move(operands), {type}, loc);
    made->dims = std::move(dims);
    made->body = body;
    graph::normalizeOperands(b_.pool(), *made);
    before.push_back(made);
    constants_.insert(made->results[0]);
    made_.insert(made);
    return made->results[0];
  }

  graph::Function& function_;
  Builder b_;
  Constants constants_;
  std::unordered_set<const Op*> made_;
  bool changed_ = false;
};

} // namespace

Result<Changed> foldAffine(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    if (function->kind == graph::FunctionKind::Eval || function->kind == graph::FunctionKind::Predict) {
      changed = AffineFolder(*function).run() == Changed::Yes ? Changed::Yes : changed;
    }
  }
  return changed;
}

} // namespace dnn::transform
