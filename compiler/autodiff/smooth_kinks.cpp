#include "compiler/autodiff/smooth_kinks.h"

#include "compiler/algebra/cost.h"
#include "compiler/algebra/reindex.h"
#include "compiler/algebra/simplify.h"

#include <algorithm>
#include <unordered_set>

namespace dnn::autodiff {

using algebra::isApply;
using algebra::isConstant;
using graph::ExprKind;

namespace {

/// The u of |u|, max(u, 0), min(0, u) …: e has a corner where u is 0.
ExprRef cornerOf(ExprRef e) {
  if (isApply(e, ScalarOp::Abs) && isFloat(e->dtype)) {
    return e->args[0];
  }
  if ((isApply(e, ScalarOp::Max) || isApply(e, ScalarOp::Min)) && isFloat(e->dtype)) {
    return isConstant(e->args[1], 0) ? e->args[0] : isConstant(e->args[0], 0) ? e->args[1] : nullptr;
  }
  return nullptr;
}

/// The first place where at least two parts have a corner; nullptr if there is none.
ExprRef sharedCorner(ExprRef body) {
  std::unordered_set<ExprRef> seen;
  ExprRef shared = nullptr;
  graph::forEachNode(body, [&](ExprRef e) {
    ExprRef corner = cornerOf(e);
    if (corner != nullptr && !seen.insert(corner).second && shared == nullptr) {
      shared = corner;
    }
  });
  return shared;
}

/// The body as it is where u > 0, or where u < 0.
ExprRef onSide(const Builder& b, ExprRef body, ExprRef u, bool positive) {
  return algebra::rebuild(b, body, [&](ExprRef e, const std::vector<ExprRef>&) -> ExprRef {
    if (cornerOf(e) != u) {
      return nullptr;
    }
    if (isApply(e, ScalarOp::Abs)) {
      return positive ? u : b.neg(u);
    }
    return positive == isApply(e, ScalarOp::Max) ? u : b.zero(u->dtype);
  });
}

/// 1 + exp(u): never 0, and where it is infinite a quotient by it is 0, as it should be.
ExprRef exponentOverOne(ExprRef e) {
  bool fits = isApply(e, ScalarOp::Add) && isConstant(e->args[0], 1) && isApply(e->args[1], ScalarOp::Exp);
  return fits ? e->args[1]->args[0] : nullptr;
}

/// Finite and accurate wherever its reads are: logistic functions, products and sums.
bool isTotal(ExprRef e) {
  if (isApply(e, ScalarOp::Div)) {
    ExprRef exponent = exponentOverOne(e->args[1]);
    return exponent != nullptr && isTotal(exponent) && isTotal(e->args[0]);
  }
  if (e->kind != ExprKind::Apply) {
    return e->kind != ExprKind::Draw;
  }
  bool harmless = e->op == ScalarOp::Neg || e->op == ScalarOp::Add || e->op == ScalarOp::Sub ||
                  e->op == ScalarOp::Mul || e->op == ScalarOp::Tanh;
  return harmless && std::ranges::all_of(e->args, isTotal);
}

ExprRef totalFor(const Builder& b, const std::vector<AccessAdjoint>& parts, ExprRef access) {
  ExprRef sum = b.zero(access->dtype);
  for (const AccessAdjoint& part : parts) {
    if (part.access == access) {
      sum = b.add(sum, b.when(part.guard, part.value));
    }
  }
  return sum;
}

} // namespace

Result<std::vector<AccessAdjoint>> smoothAdjoint(const Builder& b, const graph::IndexDomain& domain, ExprRef body,
                                                 ExprRef seed, ExprRef value, const IsVaried& varied, bool strict) {
  Result<std::vector<AccessAdjoint>> plain = scalarAdjoint(b, body, seed, value, varied, strict);
  ExprRef corner = plain ? sharedCorner(body) : nullptr;
  if (corner == nullptr) {
    return plain;
  }
  auto above = scalarAdjoint(b, onSide(b, body, corner, true), seed, nullptr, varied, strict);
  auto below = scalarAdjoint(b, onSide(b, body, corner, false), seed, nullptr, varied, strict);
  if (!above || !below) {
    return plain;
  }
  algebra::Simplifier simplifier(b, domain, true);
  std::vector<ExprRef> accesses;
  for (const AccessAdjoint& part : *plain) {
    if (std::ranges::find(accesses, part.access) == accesses.end()) {
      accesses.push_back(part.access);
    }
  }
  std::vector<AccessAdjoint> result;
  for (ExprRef access : accesses) {
    ExprRef right = simplifier.run(totalFor(b, *above, access));
    ExprRef left = simplifier.run(totalFor(b, *below, access));
    ExprRef cheaper = algebra::cost(left) < algebra::cost(right) ? left : right;
    bool same = right == left || isConstant(simplifier.run(b.sub(right, left)), 0);
    if (same && isTotal(cheaper)) {
      result.push_back({access, nullptr, cheaper});
      continue;
    }
    std::ranges::copy_if(*plain, std::back_inserter(result),
                         [&](const AccessAdjoint& part) { return part.access == access; });
  }
  return result;
}

} // namespace dnn::autodiff
