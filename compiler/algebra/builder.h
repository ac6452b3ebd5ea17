// Makes expressions with the identities that are always worth taking: constants fold, x + 0, 1·x, 0·x, -(-x), a + (-b),
// select with a known condition, x²  for pow(x, 2), log(exp(x)), affine subscripts in normal form.
//
// Every identity is safe for values: where the original is finite the result is finite and equal up to rounding. (0·x
// becomes 0 also where x is infinite: a NaN may become a number, never the other way.)
#pragma once

#include "compiler/graph/affine.h"
#include "compiler/graph/expr.h"

#include <optional>
#include <vector>

namespace dnn::algebra {

using graph::ExprPool;
using graph::ExprRef;

class Builder {
public:
  explicit Builder(ExprPool& pool) : pool_(pool) {}
  ExprPool& pool() const { return pool_; }

  /// op applied to args, or something simpler. Looks at the arguments' roots only.
  ExprRef make(ScalarOp op, std::vector<ExprRef> args) const;
  ExprRef cast(DType to, ExprRef value) const;

  ExprRef constant(double value, DType dtype) const; ///< of any type
  ExprRef zero(DType dtype) const { return constant(0, dtype); }
  ExprRef one(DType dtype) const { return constant(1, dtype); }

  ExprRef neg(ExprRef a) const { return make(ScalarOp::Neg, {a}); }
  ExprRef add(ExprRef a, ExprRef b) const { return make(ScalarOp::Add, {a, b}); }
  ExprRef sub(ExprRef a, ExprRef b) const { return make(ScalarOp::Sub, {a, b}); }
  ExprRef mul(ExprRef a, ExprRef b) const { return make(ScalarOp::Mul, {a, b}); }
  ExprRef div(ExprRef a, ExprRef b) const { return make(ScalarOp::Div, {a, b}); }
  ExprRef eq(ExprRef a, ExprRef b) const { return make(ScalarOp::Eq, {a, b}); }
  ExprRef both(ExprRef a, ExprRef b) const { return make(ScalarOp::And, {a, b}); }
  ExprRef negated(ExprRef condition) const { return make(ScalarOp::Not, {condition}); }
  ExprRef select(ExprRef condition, ExprRef then, ExprRef otherwise) const {
    return make(ScalarOp::Select, {condition, then, otherwise});
  }
  /// condition ? value : 0; nullptr stands for true.
  ExprRef when(ExprRef condition, ExprRef value) const {
    return condition == nullptr ? value : select(condition, value, zero(value->dtype));
  }

private:
  ExprRef apply(ScalarOp op, std::vector<ExprRef> args) const { return pool_.apply(op, std::move(args)); }
  ExprRef foldConstants(ScalarOp op, const std::vector<ExprRef>& args) const;
  ExprRef makeInteger(ScalarOp op, const std::vector<ExprRef>& args) const;
  ExprRef readable(graph::LinearForm form) const;
  ExprRef makeUnary(ScalarOp op, ExprRef a) const;
  ExprRef makeSum(ScalarOp op, ExprRef a, ExprRef b) const;
  ExprRef makeProduct(ExprRef a, ExprRef b) const;
  ExprRef makeQuotient(ExprRef a, ExprRef b) const;
  ExprRef makePower(ExprRef a, ExprRef b) const;
  ExprRef makeLogical(ScalarOp op, const std::vector<ExprRef>& args) const;
  ExprRef makeComparison(ScalarOp op, ExprRef a, ExprRef b) const;
  ExprRef makeSelect(ExprRef condition, ExprRef then, ExprRef otherwise) const;

  ExprPool& pool_;
};

bool isApply(ExprRef e, ScalarOp op);
/// The value of a constant of any type.
std::optional<double> constantValue(ExprRef e);
bool isConstant(ExprRef e, double value);
bool isTrue(ExprRef e);
bool isFalse(ExprRef e);
/// The u of 1 / (1 + exp(-u)), the logistic function, if e has this form.
ExprRef logisticArgument(ExprRef e);
/// 1 / (1 + exp(-u)): finite and accurate for every u.
ExprRef logistic(const Builder& b, ExprRef u);
/// log(y) for y = 1 / (1 + exp(-u)) or y = 1 - 1 / (1 + exp(u)), as min(u, 0) - log1p(exp(-|u|)): finite where y
/// underflows. nullptr for another y. The derivative at u = 0 is not that of log(y), so gradients must be taken before.
ExprRef logOfLogistic(const Builder& b, ExprRef y);

} // namespace dnn::algebra
