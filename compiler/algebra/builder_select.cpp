// Conditions and select.
#include "compiler/algebra/builder.h"

#include "compiler/graph/affine.h"

#include <utility>

namespace dnn::algebra {

using graph::ExprKind;

namespace {

/// The comparison that is true exactly where op is false. For floats only == and != have one, because of NaN.
std::optional<ScalarOp> opposite(ScalarOp op, DType operands) {
  if (op == ScalarOp::Eq) {
    return ScalarOp::Ne;
  }
  if (op == ScalarOp::Ne) {
    return ScalarOp::Eq;
  }
  if (isFloat(operands)) {
    return std::nullopt;
  }
  return op == ScalarOp::Lt   ? std::optional(ScalarOp::Ge)
         : op == ScalarOp::Ge ? std::optional(ScalarOp::Lt)
         : op == ScalarOp::Gt ? std::optional(ScalarOp::Le)
         : op == ScalarOp::Le ? std::optional(ScalarOp::Gt)
                              : std::nullopt;
}

} // namespace

ExprRef Builder::makeLogical(ScalarOp op, const std::vector<ExprRef>& args) const {
  ExprRef a = args[0];
  if (op == ScalarOp::Not) {
    if (isApply(a, ScalarOp::Not)) {
      return a->args[0];
    }
    if (a->kind == ExprKind::Apply && a->args.size() == 2) {
      if (std::optional<ScalarOp> flipped = opposite(a->op, a->args[0]->dtype)) {
        return apply(*flipped, a->args);
      }
    }
    return apply(op, args);
  }
  ExprRef b = args[1];
  bool isAnd = op == ScalarOp::And;
  if (a == b) {
    return a;
  }
  for (auto [x, y] : {std::pair(a, b), std::pair(b, a)}) {
    if (isTrue(x)) {
      return isAnd ? y : x;
    }
    if (isFalse(x)) {
      return isAnd ? x : y;
    }
  }
  if (negated(a) == b) {
    return pool_.boolean(!isAnd);
  }
  return apply(op, args);
}

ExprRef Builder::makeComparison(ScalarOp op, ExprRef a, ExprRef b) const {
  if (isInteger(a->dtype) && a->dtype == DType::I32) {
    if (a == b) {
      return pool_.boolean(op == ScalarOp::Eq || op == ScalarOp::Le || op == ScalarOp::Ge);
    }
  }
  return apply(op, {a, b});
}

ExprRef Builder::makeSelect(ExprRef condition, ExprRef then, ExprRef otherwise) const {
  if (condition->kind == ExprKind::Const) {
    return isTrue(condition) ? then : otherwise;
  }
  if (then == otherwise) {
    return then;
  }
  if (isApply(condition, ScalarOp::Not)) {
    return select(condition->args[0], otherwise, then);
  }
  if (isApply(then, ScalarOp::Select) && then->args[0] == condition) {
    return select(condition, then->args[1], otherwise);
  }
  if (isApply(otherwise, ScalarOp::Select) && otherwise->args[0] == condition) {
    return select(condition, then, otherwise->args[2]);
  }
  // c ? (d ? x : y) : y  =  (c and d) ? x : y
  if (isApply(then, ScalarOp::Select) && then->args[2] == otherwise) {
    return select(both(condition, then->args[0]), then->args[1], otherwise);
  }
  return apply(ScalarOp::Select, {condition, then, otherwise});
}

} // namespace dnn::algebra
