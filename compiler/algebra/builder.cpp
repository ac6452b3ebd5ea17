#include "compiler/algebra/builder.h"

#include "compiler/algebra/constants.h"
#include "compiler/support/assert.h"

#include <algorithm>
#include <cmath>

namespace dnn::algebra {

using graph::ExprKind;

bool isApply(ExprRef e, ScalarOp op) { return e->kind == ExprKind::Apply && e->op == op; }

std::optional<double> constantValue(ExprRef e) {
  if (e->kind != ExprKind::Const) {
    return std::nullopt;
  }
  return isFloat(e->dtype) ? e->number : static_cast<double>(e->integer);
}

bool isConstant(ExprRef e, double value) { return constantValue(e) == value; }
bool isTrue(ExprRef e) { return e->dtype == DType::Bool && isConstant(e, 1); }
bool isFalse(ExprRef e) { return e->dtype == DType::Bool && isConstant(e, 0); }

ExprRef logisticArgument(ExprRef e) {
  if (!isApply(e, ScalarOp::Div) || !isConstant(e->args[0], 1) || !isApply(e->args[1], ScalarOp::Add)) {
    return nullptr;
  }
  ExprRef one = e->args[1]->args[0];
  ExprRef power = e->args[1]->args[1];
  if (!isConstant(one, 1)) {
    std::swap(one, power);
  }
  bool matches = isConstant(one, 1) && isApply(power, ScalarOp::Exp) && isApply(power->args[0], ScalarOp::Neg);
  return matches ? power->args[0]->args[0] : nullptr;
}

ExprRef logistic(const Builder& b, ExprRef u) {
  ExprRef one = b.one(u->dtype);
  return b.div(one, b.add(one, b.make(ScalarOp::Exp, {b.neg(u)})));
}

ExprRef logOfLogistic(const Builder& b, ExprRef y) {
  ExprRef u = logisticArgument(y);
  if (u == nullptr && isApply(y, ScalarOp::Sub) && isConstant(y->args[0], 1)) {
    ExprRef reflected = logisticArgument(y->args[1]);
    u = reflected == nullptr ? nullptr : b.neg(reflected);
  }
  if (u == nullptr) {
    return nullptr;
  }
  ExprRef tail = b.make(ScalarOp::Exp, {b.neg(b.make(ScalarOp::Abs, {u}))});
  return b.sub(b.make(ScalarOp::Min, {u, b.zero(u->dtype)}), b.make(ScalarOp::Log1p, {tail}));
}

ExprRef Builder::constant(double value, DType dtype) const {
  if (isFloat(dtype)) {
    return pool_.number(value, dtype);
  }
  return dtype == DType::Bool ? pool_.boolean(value != 0) : pool_.integer(static_cast<int64_t>(value), dtype);
}

/// The constant that op makes of constants; nullptr if some argument is none or the result is not decided here.
ExprRef Builder::foldConstants(ScalarOp op, const std::vector<ExprRef>& args) const {
  if (!std::ranges::all_of(args, [](ExprRef e) { return e->kind == ExprKind::Const; })) {
    return nullptr;
  }
  std::optional<DType> type = graph::resultType(op, args);
  DNN_ASSERT(type, "operands fit the operator");
  if (isFloat(args[0]->dtype)) {
    std::vector<double> numbers;
    for (ExprRef e : args) {
      numbers.push_back(e->number);
    }
    if (*type == DType::Bool) {
      std::optional<bool> truth = evaluateTruth<double>(op, numbers);
      return truth ? pool_.boolean(*truth) : nullptr;
    }
    std::optional<double> value = evaluate(op, numbers);
    bool overflows = value && *type != DType::F64 && !std::isfinite(static_cast<float>(*value));
    return value ? pool_.number(overflows ? static_cast<float>(*value) : *value, *type) : nullptr;
  }
  if (*type == DType::Bool) {
    std::vector<int64_t> integers;
    for (ExprRef e : args) {
      integers.push_back(e->integer);
    }
    std::optional<bool> truth = evaluateTruth<int64_t>(op, integers);
    return truth ? pool_.boolean(*truth) : nullptr;
  }
  return nullptr;
}

ExprRef Builder::cast(DType to, ExprRef value) const {
  if (value->dtype == to) {
    return value;
  }
  if (isStorageOnly(to) && value->kind == ExprKind::Cast && value->args[0]->dtype == to) {
    return value->args[0]; // what an f32 was widened from; the other way around loses bits
  }
  if (value->kind == ExprKind::Const && isFloat(to)) {
    return pool_.number(*constantValue(value), to);
  }
  return pool_.cast(to, value);
}

ExprRef Builder::make(ScalarOp op, std::vector<ExprRef> args) const {
  if (ExprRef folded = foldConstants(op, args)) {
    return folded;
  }
  DType type = args.back()->dtype;
  switch (op) {
  case ScalarOp::Not:
  case ScalarOp::And:
  case ScalarOp::Or: return makeLogical(op, args);
  case ScalarOp::Lt:
  case ScalarOp::Le:
  case ScalarOp::Gt:
  case ScalarOp::Ge:
  case ScalarOp::Eq:
  case ScalarOp::Ne: return makeComparison(op, args[0], args[1]);
  case ScalarOp::Select: return makeSelect(args[0], args[1], args[2]);
  case ScalarOp::Min:
  case ScalarOp::Max: return args[0] == args[1] ? args[0] : apply(op, args);
  case ScalarOp::Add:
  case ScalarOp::Sub: return isFloat(type) ? makeSum(op, args[0], args[1]) : makeInteger(op, args);
  case ScalarOp::Mul: return isFloat(type) ? makeProduct(args[0], args[1]) : makeInteger(op, args);
  case ScalarOp::Div: return isFloat(type) ? makeQuotient(args[0], args[1]) : makeInteger(op, args);
  case ScalarOp::Mod: return makeInteger(op, args);
  case ScalarOp::Neg:
  case ScalarOp::Abs: return isFloat(type) ? makeUnary(op, args[0]) : makeInteger(op, args);
  case ScalarOp::Pow: return makePower(args[0], args[1]);
  case ScalarOp::Exp:
  case ScalarOp::Log:
  case ScalarOp::Log1p:
  case ScalarOp::Expm1:
  case ScalarOp::Sqrt:
  case ScalarOp::Rsqrt:
  case ScalarOp::Sin:
  case ScalarOp::Cos:
  case ScalarOp::Tanh:
  case ScalarOp::Erf:
  case ScalarOp::Lgamma:
  case ScalarOp::Digamma:
  case ScalarOp::Floor:
  case ScalarOp::Ceil:
  case ScalarOp::Round:
  case ScalarOp::StopGrad: return makeUnary(op, args[0]);
  }
  DNN_UNREACHABLE("every operator can be made");
}

ExprRef Builder::makeUnary(ScalarOp op, ExprRef a) const {
  if (op == ScalarOp::Neg) {
    if (isApply(a, ScalarOp::Neg)) {
      return a->args[0];
    }
    if (isApply(a, ScalarOp::Sub)) {
      return sub(a->args[1], a->args[0]);
    }
    if ((isApply(a, ScalarOp::Mul) || isApply(a, ScalarOp::Div)) && a->args[0]->kind == ExprKind::Const) {
      return make(a->op, {neg(a->args[0]), a->args[1]});
    }
    if (isApply(a, ScalarOp::Select) && (isConstant(a->args[1], 0) || isConstant(a->args[2], 0))) {
      return select(a->args[0], neg(a->args[1]), neg(a->args[2]));
    }
  }
  if (op == ScalarOp::Abs && (isApply(a, ScalarOp::Neg) || isApply(a, ScalarOp::Abs))) {
    return makeUnary(ScalarOp::Abs, a->args[0]);
  }
  if (op == ScalarOp::Log && isApply(a, ScalarOp::Exp)) {
    return a->args[0];
  }
  if (op == ScalarOp::Cos && isApply(a, ScalarOp::Neg)) {
    return apply(op, {a->args[0]});
  }
  return apply(op, {a});
}

ExprRef Builder::makeSum(ScalarOp op, ExprRef a, ExprRef b) const {
  bool plus = op == ScalarOp::Add;
  if (isConstant(b, 0)) {
    return a;
  }
  if (isConstant(a, 0)) {
    return plus ? b : neg(b);
  }
  if (isApply(b, ScalarOp::Neg)) {
    return plus ? sub(a, b->args[0]) : add(a, b->args[0]);
  }
  if (plus && isApply(a, ScalarOp::Neg)) {
    return sub(b, a->args[0]);
  }
  if (!plus && a == b) {
    return zero(a->dtype);
  }
  if (b->kind == ExprKind::Const && b->number < 0) {
    return makeSum(plus ? ScalarOp::Sub : ScalarOp::Add, a, neg(b));
  }
  if (isApply(b, ScalarOp::Mul) && b->args[0]->kind == ExprKind::Const && b->args[0]->number < 0) {
    return makeSum(plus ? ScalarOp::Sub : ScalarOp::Add, a, neg(b));
  }
  return apply(op, {a, b});
}

ExprRef Builder::makeProduct(ExprRef a, ExprRef b) const {
  if (b->kind == ExprKind::Const) {
    std::swap(a, b); // constants stand in front
  }
  if (a->kind == ExprKind::Const) {
    if (a->number == 1) {
      return b;
    }
    if (a->number == 0) {
      return a;
    }
    if (a->number == -1) {
      return neg(b);
    }
    if (isApply(b, ScalarOp::Mul) && b->args[0]->kind == ExprKind::Const &&
        isNormal(a->number * b->args[0]->number, a->dtype)) {
      return mul(mul(a, b->args[0]), b->args[1]);
    }
    if (isApply(b, ScalarOp::Neg)) {
      return mul(neg(a), b->args[0]);
    }
    if (isApply(b, ScalarOp::Select) && (isConstant(b->args[1], 0) || isConstant(b->args[2], 0))) {
      return select(b->args[0], mul(a, b->args[1]), mul(a, b->args[2]));
    }
    return apply(ScalarOp::Mul, {a, b});
  }
  if (isApply(a, ScalarOp::Neg)) {
    return neg(mul(a->args[0], b));
  }
  if (isApply(b, ScalarOp::Neg)) {
    return neg(mul(a, b->args[0]));
  }
  // x·(1 / y) = x / y; a logistic function keeps the form by which its derivative is known.
  if (isApply(a, ScalarOp::Div) && isConstant(a->args[0], 1) && logisticArgument(a) == nullptr) {
    return div(b, a->args[1]);
  }
  if (isApply(b, ScalarOp::Div) && isConstant(b->args[0], 1) && logisticArgument(b) == nullptr) {
    return div(a, b->args[1]);
  }
  // A constant factor moves outwards, where it can meet others.
  if (isApply(a, ScalarOp::Mul) && a->args[0]->kind == ExprKind::Const) {
    return mul(a->args[0], mul(a->args[1], b));
  }
  if (isApply(b, ScalarOp::Mul) && b->args[0]->kind == ExprKind::Const) {
    return mul(b->args[0], mul(a, b->args[1]));
  }
  return apply(ScalarOp::Mul, {a, b});
}

ExprRef Builder::makeQuotient(ExprRef a, ExprRef b) const {
  if (isConstant(b, 1)) {
    return a;
  }
  if (isConstant(a, 0)) {
    return a;
  }
  if (b->kind == ExprKind::Const) {
    int exponent = 0;
    if (std::fabs(std::frexp(b->number, &exponent)) == 0.5 && std::abs(exponent) < 100) {
      return mul(constant(1 / b->number, b->dtype), a); // exact for powers of two
    }
  }
  if (isApply(a, ScalarOp::Neg)) {
    return neg(div(a->args[0], b));
  }
  if (isApply(b, ScalarOp::Neg)) {
    return neg(div(a, b->args[0]));
  }
  if (isApply(a, ScalarOp::Select) && (isConstant(a->args[1], 0) || isConstant(a->args[2], 0))) {
    return select(a->args[0], div(a->args[1], b), div(a->args[2], b));
  }
  // e^u / (1 + e^u) overflows where 1 / (1 + e^-u) does not.
  if (isApply(a, ScalarOp::Exp) && isApply(b, ScalarOp::Add)) {
    ExprRef one = b->args[0];
    ExprRef power = b->args[1];
    if (!isConstant(one, 1)) {
      std::swap(one, power);
    }
    if (isConstant(one, 1) && power == a) {
      return logistic(*this, a->args[0]);
    }
  }
  return apply(ScalarOp::Div, {a, b});
}

ExprRef Builder::makePower(ExprRef a, ExprRef b) const {
  std::optional<double> power = constantValue(b);
  if (power == 1) {
    return a;
  }
  if (power == 2) {
    return mul(a, a);
  }
  if (power == 3) {
    return mul(mul(a, a), a);
  }
  if (power == -1) {
    return div(one(a->dtype), a);
  }
  if (power == 0) {
    return one(a->dtype); // as pow does, at 0 too
  }
  return apply(ScalarOp::Pow, {a, b});
}

} // namespace dnn::algebra
