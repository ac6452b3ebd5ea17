#include "compiler/algebra/simplify.h"

#include "compiler/algebra/cost.h"
#include "compiler/algebra/reindex.h"
#include "compiler/algebra/sum.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

namespace dnn::algebra {

using graph::Expr;
using graph::ExprKind;

ExprRef Simplifier::run(ExprRef e) {
  if (auto found = known_.find(e); found != known_.end()) {
    return found->second;
  }
  ExprRef result = runNew(e);
  known_[e] = result;
  known_.try_emplace(result, result);
  return result;
}

std::vector<ExprRef> Simplifier::runAll(const std::vector<ExprRef>& args) {
  std::vector<ExprRef> result;
  for (ExprRef arg : args) {
    result.push_back(run(arg));
  }
  return result;
}

ExprRef Simplifier::runNew(ExprRef e) {
  switch (e->kind) {
  case ExprKind::Const:
  case ExprKind::Index:
  case ExprKind::Extent: return e;
  case ExprKind::Access: return runAccess(e);
  case ExprKind::Cast:
  case ExprKind::Draw: return withArgs(b_, e, runAll(e->args));
  case ExprKind::Apply: break;
  }
  if (!beforeGradient_ && e->op == ScalarOp::StopGrad) {
    return run(e->args[0]);
  }
  if (isRational(e)) {
    return runRational(e);
  }
  std::vector<ExprRef> args = runAll(e->args);
  if (e->op == ScalarOp::Log && !beforeGradient_) {
    if (ExprRef stable = logOfLogistic(b_, args[0])) {
      return stable;
    }
  }
  return isFloat(e->dtype) ? withArgs(b_, e, args) : runDiscrete(e, args);
}

/// A fill value that is never read goes, and so do indices that are always 0 from sums of several.
ExprRef Simplifier::runAccess(ExprRef e) {
  std::vector<ExprRef> args = runAll(e->args);
  std::optional<double> fill = e->fill;
  const TensorType& type = domain_.operands[e->operand];
  bool inside = true;
  for (size_t d = 0; d < args.size() && fill; ++d) {
    inside = inside && ranges_.alwaysInRange(args[d], type.dims[d]);
  }
  fill = inside ? std::nullopt : fill;
  if (!fill) {
    std::ranges::transform(args, args.begin(), [&](ExprRef arg) { return withoutZeros(arg); });
  }
  return b_.pool().access(e->operand, e->dtype, std::move(args), fill);
}

/// A sum of indices without those that have one value: x[2*i + u, c] with one u is x[2*i, c]. (The index alone stays:
/// it says which dimension of the result a dimension of the operand is.)
ExprRef Simplifier::withoutZeros(ExprRef subscript) {
  std::optional<graph::LinearForm> form =
      subscript->kind == ExprKind::Apply ? graph::linearForm(subscript) : std::nullopt;
  if (!form || !form->isAffine()) {
    return subscript;
  }
  size_t removed = std::erase_if(form->terms, [&](const graph::LinearTerm& term) {
    graph::Range range = ranges_.of(term.atom);
    return range.min == 0 && range.max == 0;
  });
  return removed > 0 ? graph::toExpr(b_.pool(), *form) : subscript;
}

/// Integers and conditions, with what the ranges decide.
ExprRef Simplifier::runDiscrete(ExprRef e, const std::vector<ExprRef>& args) {
  ExprRef made = withArgs(b_, e, args);
  if (made->kind != ExprKind::Apply) {
    return made;
  }
  if (graph::isDivByConstant(made) || graph::isModByConstant(made)) {
    bool small = ranges_.alwaysInRange(made->args[0], Dim(graph::divisorOf(made)));
    if (small) {
      return graph::isDivByConstant(made) ? b_.pool().integer(0, made->dtype) : made->args[0];
    }
    return made;
  }
  if (made->dtype != DType::Bool || made->args.size() != 2 || made->args[0]->dtype != DType::I32) {
    return made;
  }
  graph::Range difference = ranges_.of(b_.sub(made->args[0], made->args[1]));
  auto decide = [&](bool alwaysTrue, bool alwaysFalse) {
    return alwaysTrue ? b_.pool().boolean(true) : alwaysFalse ? b_.pool().boolean(false) : made;
  };
  bool negative = difference.max < 0;
  bool positive = difference.min > 0;
  bool notNegative = difference.min >= 0;
  bool notPositive = difference.max <= 0;
  if (made->op == ScalarOp::Lt) {
    return decide(negative, notNegative);
  }
  if (made->op == ScalarOp::Ge) {
    return decide(notNegative, negative);
  }
  if (made->op == ScalarOp::Gt) {
    return decide(positive, notPositive);
  }
  if (made->op == ScalarOp::Le) {
    return decide(notPositive, positive);
  }
  if (made->op == ScalarOp::Eq) {
    return decide(notNegative && notPositive, negative || positive);
  }
  if (made->op == ScalarOp::Ne) {
    return decide(negative || positive, notNegative && notPositive);
  }
  return made;
}

/// The e of then-branches where t[n] == k is known: p[n, t[n]] reads p[n, k].
ExprRef Simplifier::underCondition(ExprRef condition, ExprRef e) {
  if (isApply(condition, ScalarOp::And)) {
    return underCondition(condition->args[1], underCondition(condition->args[0], e));
  }
  if (!isApply(condition, ScalarOp::Eq) || condition->args[0]->dtype != DType::I32) {
    return e;
  }
  ExprRef read = condition->args[0];
  ExprRef index = condition->args[1];
  if (index->kind != ExprKind::Index) {
    std::swap(read, index);
  }
  if (index->kind != ExprKind::Index || read->kind != ExprKind::Access || !mayStandFor(index, read)) {
    return e;
  }
  return rebuild(b_, e, [&](ExprRef node, const std::vector<ExprRef>&) { return node == read ? index : nullptr; });
}

/// Subscripts may be proved by what is read: the index has to prove as much.
bool Simplifier::mayStandFor(ExprRef index, ExprRef read) {
  const std::optional<Dim>& bound = domain_.operands[read->operand].bound;
  return !bound || ranges_.alwaysInRange(index, *bound);
}

/// e with what sums do not look into in final form.
ExprRef Simplifier::rebuildRational(ExprRef e) {
  if (!isRational(e) || e->kind == ExprKind::Const) {
    return run(e);
  }
  std::vector<ExprRef> args;
  for (ExprRef arg : e->args) {
    args.push_back(isFloat(arg->dtype) ? rebuildRational(arg) : run(arg));
  }
  if (e->op == ScalarOp::Select) {
    args[1] = underCondition(args[0], args[1]);
  }
  return withArgs(b_, e, args);
}

ExprRef Simplifier::runRational(ExprRef e) {
  ExprRef plain = rebuildRational(e);
  if (!isRational(plain) || plain->kind == ExprKind::Const) {
    return plain->kind == ExprKind::Const ? plain : run(plain);
  }
  ExprRef best = bestForm(e, plain);
  if (best != plain) {
    return best;
  }
  // The whole gains nothing: perhaps its parts do.
  std::vector<ExprRef> args = runAll(plain->args);
  return args == plain->args ? plain : withArgs(b_, plain, args);
}

namespace {

/// Whether some base or condition occurs twice in the sums of e, or a quotient by 1 + exp(u), which may be reflected:
/// else nothing can meet and cancel.
bool somethingMayCancel(ExprRef e) {
  std::unordered_set<ExprRef> seen;
  std::vector<ExprRef> stack = {e};
  while (!stack.empty()) {
    ExprRef node = stack.back();
    stack.pop_back();
    if (node->kind == ExprKind::Const) {
      continue;
    }
    if (!isRational(node)) {
      if (!seen.insert(node).second) {
        return true;
      }
      continue;
    }
    bool byOnePlus = isApply(node, ScalarOp::Div) && isApply(node->args[1], ScalarOp::Add);
    if (byOnePlus && isApply(node->args[1]->args[1], ScalarOp::Exp) && logisticArgument(node) == nullptr) {
      return true;
    }
    stack.insert(stack.end(), node->args.begin(), node->args.end());
  }
  return false;
}

} // namespace

ExprRef Simplifier::bestForm(ExprRef e, ExprRef plain) {
  if (!somethingMayCancel(plain)) {
    return plain;
  }
  SumAlgebra algebra(
      b_, [this](ExprRef atom) { return run(atom); },
      [this](ExprRef index, ExprRef read) { return mayStandFor(index, read); });
  ExprRef best = plain;
  int bestCost = cost(plain);
  auto consider = [&](const std::optional<Sum>& sum) {
    if (!sum) {
      return;
    }
    ExprRef form = algebra.emit(*sum, e->dtype);
    if (int formCost = cost(form); formCost < bestCost) {
      best = form;
      bestCost = formCost;
    }
  };
  std::optional<Sum> sum = algebra.read(plain);
  consider(sum);
  // Quotients first, then everything; a stage in which nothing cancels is dropped.
  for (bool all : {false, true}) {
    int before = algebra.cancellations();
    std::optional<Sum> expanded = sum ? algebra.multiplyOut(*sum, all) : std::nullopt;
    if (expanded && algebra.cancellations() > before) {
      consider(expanded);
      sum = expanded;
    }
  }
  std::optional<Sum> split = sum ? algebra.splitFractions(*sum) : std::nullopt;
  consider(split);
  consider(split ? algebra.reflectLogistics(*split) : std::nullopt);
  return best;
}

} // namespace dnn::algebra
