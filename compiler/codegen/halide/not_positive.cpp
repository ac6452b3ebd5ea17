#include "compiler/codegen/halide/not_positive.h"

#include <vector>

namespace dnn::codegen {

namespace {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;

/// Finds, for the indices of a maximum's domain, the expressions of a point in whose place its body is the value there.
class Point {
public:
  Point(const Op& maximum, const Op& op, const std::vector<ExprRef>& at) : maximum_(maximum), op_(op), indices_(at) {
    indices_.resize(maximum.dims.size() + maximum.reduced.size());
  }

  bool matches(ExprRef inMaximum, ExprRef e) {
    if (inMaximum->kind == ExprKind::Index) {
      ExprRef& known = indices_[inMaximum->index];
      if (known == nullptr && coversAll(inMaximum->index - maximum_.dims.size(), e)) {
        known = e;
      }
      return known == e;
    }
    if (inMaximum->args.size() != e->args.size()) {
      return false;
    }
    if (inMaximum->kind == ExprKind::Access) {
      if (e->kind != ExprKind::Access || inMaximum->fill != e->fill ||
          maximum_.operands[inMaximum->operand] != op_.operands[e->operand]) {
        return false;
      }
    } else {
      graph::Expr here = *inMaximum, there = *e;
      here.args.clear();
      there.args.clear();
      if (here != there) {
        return false;
      }
    }
    for (size_t i = 0; i < e->args.size(); ++i) {
      if (!matches(inMaximum->args[i], e->args[i])) {
        return false;
      }
    }
    return true;
  }

private:
  const Op& maximum_;
  const Op& op_;
  std::vector<ExprRef> indices_; ///< none: a reduced index that has not been met

  /// Whether the maximum is over every value that `e` can have.
  bool coversAll(size_t reduced, ExprRef e) const {
    if (e->kind != ExprKind::Index) {
      return false;
    }
    const graph::IndexVar& index =
        e->index < op_.dims.size() ? op_.dims[e->index] : op_.reduced[e->index - op_.dims.size()];
    return maximum_.reduced[reduced].extent == index.extent;
  }
};

} // namespace

bool isBelowItsMaximum(const Op& op, ExprRef e) {
  if (e->kind != ExprKind::Apply || e->op != ScalarOp::Sub || e->args[1]->kind != ExprKind::Access ||
      e->args[1]->fill) {
    return false;
  }
  const Op* maximum = op.operands[e->args[1]->operand]->def;
  return maximum->kind == graph::OpKind::Comp && maximum->reduction == Reduction::Max &&
         Point(*maximum, op, e->args[1]->args).matches(maximum->body, e->args[0]);
}

} // namespace dnn::codegen
