#include "compiler/autodiff/scalar_adjoint.h"

#include "compiler/support/assert.h"

#include <algorithm>
#include <unordered_map>

namespace dnn::autodiff {

using graph::ExprKind;

namespace {

/// An expression with the notation of formulas; numbers take the type of the other side.
struct Formula {
  const Builder* b;
  ExprRef e;
};

Formula constant(const Formula& like, double value) { return {like.b, like.b->constant(value, like.e->dtype)}; }
Formula operator-(Formula x) { return {x.b, x.b->neg(x.e)}; }
Formula operator+(double c, Formula x) { return {x.b, x.b->add(constant(x, c).e, x.e)}; }
Formula operator-(double c, Formula x) { return {x.b, x.b->sub(constant(x, c).e, x.e)}; }
Formula operator*(double c, Formula x) { return {x.b, x.b->mul(constant(x, c).e, x.e)}; }
Formula operator*(Formula x, Formula y) { return {x.b, x.b->mul(x.e, y.e)}; }
Formula operator/(Formula x, Formula y) { return {x.b, x.b->div(x.e, y.e)}; }
Formula operator<=(Formula x, Formula y) { return {x.b, x.b->make(ScalarOp::Le, {x.e, y.e})}; }
Formula operator>=(Formula x, Formula y) { return {x.b, x.b->make(ScalarOp::Ge, {x.e, y.e})}; }
Formula apply(ScalarOp op, Formula x) { return {x.b, x.b->make(op, {x.e})}; }
Formula logisticOf(Formula x) { return {x.b, algebra::logistic(*x.b, x.e)}; }

constexpr double twoOverRootPi = 1.1283791670955126;

/// d, 0 or -d, as the sign of x says.
Formula signTimes(Formula x, Formula d) {
  const Builder& b = *x.b;
  ExprRef zero = b.zero(x.e->dtype);
  ExprRef negative = b.when(b.make(ScalarOp::Lt, {x.e, zero}), b.neg(d.e));
  return {x.b, b.select(b.make(ScalarOp::Gt, {x.e, zero}), d.e, negative)};
}

/// ∂(a^b)/∂a = b·a^(b-1), and 0 for b = 0 although 0^-1 is infinite.
Formula powerSlope(Formula base, Formula exponent) {
  const Builder& b = *base.b;
  ExprRef zero = b.zero(base.e->dtype);
  ExprRef less = b.sub(exponent.e, b.one(base.e->dtype));
  ExprRef slope = b.mul(exponent.e, b.make(ScalarOp::Pow, {base.e, less}));
  return {base.b, b.select(b.eq(exponent.e, zero), zero, slope)};
}

/// ∂(a^b)/∂b = y·log a, with the limit 0 at a = 0; NaN for a < 0, where a^b is not differentiable in b.
Formula powerLog(Formula base, Formula, Formula y) {
  const Builder& b = *base.b;
  ExprRef zero = b.zero(base.e->dtype);
  return {base.b, b.select(b.eq(base.e, zero), zero, b.mul(y.e, b.make(ScalarOp::Log, {base.e})))};
}

using algebra::logisticArgument;

/// The u of log1p(exp(u)) and log(1 + exp(u)).
ExprRef softplusArgument(ExprRef e) {
  ExprRef power = nullptr;
  if (algebra::isApply(e, ScalarOp::Log1p)) {
    power = e->args[0];
  } else if (algebra::isApply(e, ScalarOp::Log) && algebra::isApply(e->args[0], ScalarOp::Add)) {
    const auto& terms = e->args[0]->args;
    power = algebra::isConstant(terms[0], 1) ? terms[1] : algebra::isConstant(terms[1], 1) ? terms[0] : nullptr;
  }
  return power != nullptr && algebra::isApply(power, ScalarOp::Exp) ? power->args[0] : nullptr;
}

struct Guarded {
  ExprRef guard; // nullptr = always
  ExprRef value;
};

class Dependence {
public:
  explicit Dependence(const IsVaried& varied) : varied_(varied) {}

  bool of(ExprRef root) {
    if (auto found = known_.find(root); found != known_.end()) {
      return found->second;
    }
    graph::forEachNode(root, [&](ExprRef e) { known_.try_emplace(e, compute(e)); });
    return known_.at(root);
  }

private:
  bool compute(ExprRef e) {
    switch (e->kind) {
    case ExprKind::Const:
    case ExprKind::Index:
    case ExprKind::Extent:
    case ExprKind::Draw: return false;
    case ExprKind::Access: return varied_(e);
    case ExprKind::Cast: return known_.at(e->args[0]);
    case ExprKind::Apply: break;
    }
    if (e->op == ScalarOp::StopGrad) {
      return false;
    }
    return std::ranges::any_of(e->args, [&](ExprRef arg) { return known_.at(arg); });
  }

  const IsVaried& varied_;
  std::unordered_map<ExprRef, bool> known_;
};

class Reverse {
public:
  Reverse(const Builder& b, const IsVaried& varied, bool strict) : b_(b), dependence_(varied), strict_(strict) {}

  Result<std::vector<AccessAdjoint>> run(ExprRef body, ExprRef seed, ExprRef value) {
    std::vector<ExprRef> order;
    graph::forEachNode(body, [&](ExprRef e) { order.push_back(e); });
    root_ = body;
    rootValue_ = value;
    contribute(body, {nullptr, seed});
    for (size_t i = order.size(); i-- > 0;) {
      if (auto found = adjoints_.find(order[i]); found != adjoints_.end() && dependence_.of(order[i])) {
        if (Status status = visit(order[i], found->second); !status) {
          return status.error();
        }
      }
    }
    return std::move(result_);
  }

private:
  /// Adds to the adjoint of e. Terms under one guard are added up; different guards stay apart.
  void contribute(ExprRef e, Guarded term) {
    if (!dependence_.of(e) || algebra::isConstant(term.value, 0) ||
        (term.guard != nullptr && algebra::isFalse(term.guard))) {
      return;
    }
    // A rule may itself have made a guarded value.
    if (algebra::isApply(term.value, ScalarOp::Select) && algebra::isConstant(term.value->args[2], 0)) {
      return contribute(e, {conjunction(term.guard, term.value->args[0]), term.value->args[1]});
    }
    std::vector<Guarded>& terms = adjoints_[e];
    for (Guarded& known : terms) {
      if (known.guard == term.guard) {
        known.value = b_.add(known.value, term.value);
        return;
      }
    }
    terms.push_back(term);
    constexpr size_t maxGuards = 6; // nested selects over shared parts could double the number at each level
    if (terms.size() > maxGuards) {
      ExprRef sum = nullptr;
      for (const Guarded& part : terms) {
        ExprRef value = b_.when(part.guard, part.value);
        sum = sum == nullptr ? value : b_.add(sum, value);
      }
      terms = {{nullptr, sum}};
    }
  }

  ExprRef conjunction(ExprRef guard, ExprRef condition) const {
    return guard == nullptr ? condition : b_.both(guard, condition);
  }

  Status noDerivative(std::string_view what) const {
    return Error{"`" + std::string(what) + "` has no derivative; use stop_grad or a function with its own vjp", ""};
  }

  Status visit(ExprRef e, const std::vector<Guarded>& terms) {
    if (e->kind == ExprKind::Access) {
      for (const Guarded& term : terms) {
        result_.push_back({e, term.guard, term.value});
      }
      return success();
    }
    if (e->kind == ExprKind::Cast) {
      ExprRef from = e->args[0];
      if (!isFloat(from->dtype)) {
        std::string what =
            "a conversion from " + std::string(nameOf(from->dtype)) + " to " + std::string(nameOf(e->dtype));
        return strict_ ? Status(Error{what + " has no derivative; use stop_grad or a function with its own vjp", ""})
                       : success();
      }
      for (const Guarded& term : terms) {
        contribute(from, {term.guard, b_.cast(computedAs(from->dtype), term.value)});
      }
      return success();
    }
    DNN_ASSERT(e->kind == ExprKind::Apply, "leaves do not depend on anything");
    for (const Guarded& term : terms) {
      if (Status status = visitApply(e, term); !status) {
        return status;
      }
    }
    return success();
  }

  Status visitApply(ExprRef e, const Guarded& term) {
    Formula d{&b_, term.value};
    Formula y{&b_, e == root_ && rootValue_ != nullptr ? rootValue_ : e};
    auto give = [&](ExprRef arg, Formula value) { contribute(arg, {term.guard, value.e}); };
#define PATTERN(find, dx)                                                                                              \
  if (ExprRef argument = find(e)) {                                                                                    \
    [[maybe_unused]] Formula x{&b_, argument};                                                                         \
    give(argument, dx);                                                                                                \
    return success();                                                                                                  \
  }
#define RULE1(Op, dx)
#define RULE2(Op, da, db)
#define CHOICE(Op, condition)
#define NONE(Op)
#define DISCRETE(Op)
#define BUILT_IN(Op)
#include "compiler/autodiff/derivatives.def"

    if (e->op == ScalarOp::Select) {
      ExprRef condition = e->args[0];
      if (!dependence_.of(e->args[1]) && !dependence_.of(e->args[2])) {
        return strict_ ? noDerivative("if") : success();
      }
      contribute(e->args[1], {conjunction(term.guard, condition), term.value});
      contribute(e->args[2], {conjunction(term.guard, b_.negated(condition)), term.value});
      return success();
    }
    Formula x{&b_, e->args[0]};
    Formula a = x;
    Formula b{&b_, e->args.back()};
    switch (e->op) {
#define PATTERN(find, dx)
#define RULE1(Op, dx)                                                                                                  \
  case ScalarOp::Op: give(x.e, dx); return success();
#define RULE2(Op, da, db)                                                                                              \
  case ScalarOp::Op:                                                                                                   \
    if (dependence_.of(a.e)) {                                                                                         \
      give(a.e, da);                                                                                                   \
    }                                                                                                                  \
    if (dependence_.of(b.e)) {                                                                                         \
      give(b.e, db);                                                                                                   \
    }                                                                                                                  \
    return success();
#define CHOICE(Op, condition)                                                                                          \
  case ScalarOp::Op: {                                                                                                 \
    ExprRef first = (condition).e;                                                                                     \
    contribute(a.e, {conjunction(term.guard, first), term.value});                                                     \
    contribute(b.e, {conjunction(term.guard, b_.negated(first)), term.value});                                         \
    return success();                                                                                                  \
  }
#define NONE(Op)                                                                                                       \
  case ScalarOp::Op: return strict_ ? noDerivative(infoOf(e->op).spelling) : success();
#define DISCRETE(Op)                                                                                                   \
  case ScalarOp::Op: DNN_UNREACHABLE("integers and bools have no adjoint");
#define BUILT_IN(Op)                                                                                                   \
  case ScalarOp::Op: DNN_UNREACHABLE("handled before");
#include "compiler/autodiff/derivatives.def"
    }
    DNN_UNREACHABLE("every operator has a rule");
  }

  const Builder& b_;
  Dependence dependence_;
  bool strict_;
  ExprRef root_ = nullptr;
  ExprRef rootValue_ = nullptr;
  std::unordered_map<ExprRef, std::vector<Guarded>> adjoints_;
  std::vector<AccessAdjoint> result_;
};

} // namespace

bool isVaried(ExprRef e, const IsVaried& varied) { return Dependence(varied).of(e); }

Result<std::vector<AccessAdjoint>> scalarAdjoint(const Builder& b, ExprRef body, ExprRef seed, ExprRef value,
                                                 const IsVaried& varied, bool strict) {
  return Reverse(b, varied, strict).run(body, seed, value);
}

} // namespace dnn::autodiff
