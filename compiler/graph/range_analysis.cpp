#include "compiler/graph/affine.h"

#include "compiler/support/assert.h"

#include <algorithm>
#include <limits>

namespace dnn::graph {

namespace {

int64_t floorDiv(int64_t value, int64_t divisor) {
  int64_t quotient = value / divisor;
  return value % divisor < 0 ? quotient - 1 : quotient;
}

struct Limits {
  int64_t min;
  int64_t max;
};

Limits limitsOf(DType dtype) {
  switch (dtype) {
  case DType::I32: return {std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()};
  case DType::U32: return {0, std::numeric_limits<uint32_t>::max()};
  case DType::U8: return {0, std::numeric_limits<uint8_t>::max()};
  case DType::Bool: return {0, 1};
  case DType::I64:
  case DType::F32:
  case DType::F64:
  case DType::BF16:
  case DType::F16: return {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};
  }
  DNN_UNREACHABLE("every element type has limits");
}

/// Beyond this the numbers of a range are not followed: sums of a few such numbers still fit 64 bits.
constexpr int64_t valueLimit = int64_t(1) << 52;

/// Σ |k|·max + |c|.
__int128 reach(const Dim& dim, std::span<const Symbol> symbols) {
  __int128 sum = dim.constant() < 0 ? -static_cast<__int128>(dim.constant()) : dim.constant();
  for (auto [symbol, factor] : dim.terms()) {
    sum += (factor < 0 ? -static_cast<__int128>(factor) : factor) * symbols[symbol].max;
  }
  return sum;
}

/// The form's min and max, and sums of a few such, are exact in 64 bits.
bool isSmall(const Dim& dim, std::span<const Symbol> symbols) { return reach(dim, symbols) <= valueLimit; }

} // namespace

bool isPossibleExtent(const Dim& dim, std::span<const Symbol> symbols) {
  bool known = std::ranges::all_of(dim.terms(), [&](const auto& term) { return term.first < symbols.size(); });
  return known && reach(dim, symbols) <= std::numeric_limits<int32_t>::max();
}

IndexDomain domainOf(const Op& op, std::span<const Symbol> symbols) {
  IndexDomain domain;
  for (const auto* vars : {&op.dims, &op.reduced}) {
    for (const IndexVar& var : *vars) {
      domain.extents.push_back(var.extent);
    }
  }
  for (const Value* operand : op.operands) {
    domain.operands.push_back(operand->type);
  }
  domain.symbols.assign(symbols.begin(), symbols.end());
  return domain;
}

bool RangeAnalysis::provablyLessEqual(const Dim& a, const Dim& b) const {
  if (a.isStatic() && b.isStatic()) {
    return a.constant() <= b.constant();
  }
  return isSmall(a, domain_.symbols) && isSmall(b, domain_.symbols) && (b - a).min(domain_.symbols) >= 0;
}

Range RangeAnalysis::fitted(Range range, DType dtype) const {
  Limits limits = limitsOf(dtype);
  if (!isSmall(range.lower, domain_.symbols)) {
    range.lower = Dim(range.min);
  }
  if (!isSmall(range.upper, domain_.symbols)) {
    range.upper = Dim(range.max);
  }
  if (isSmall(range.lower, domain_.symbols)) {
    range.min = std::max(range.min, range.lower.min(domain_.symbols));
  }
  if (isSmall(range.upper, domain_.symbols)) {
    range.max = std::min(range.max, range.upper.max(domain_.symbols));
  }
  if (range.min < limits.min || range.max > limits.max) {
    return {Dim(limits.min), Dim(limits.max), limits.min, limits.max};
  }
  return range;
}

Range RangeAnalysis::of(ExprRef e) {
  if (auto found = known_.find(e); found != known_.end()) {
    return found->second;
  }
  // Arguments first, without recursion in proportion to the depth.
  forEachNode(e, [&](ExprRef node) {
    if (!isFloat(node->dtype) && !known_.contains(node)) {
      known_.emplace(node, ofAtom(node));
    }
  });
  return known_.at(e);
}

/// The range of a node whose integer arguments' ranges are known.
Range RangeAnalysis::ofAtom(ExprRef e) {
  Limits limits = limitsOf(e->dtype);
  Range all = {Dim(limits.min), Dim(limits.max), limits.min, limits.max};
  switch (e->kind) {
  case ExprKind::Const: return {Dim(e->integer), Dim(e->integer), e->integer, e->integer};
  case ExprKind::Index: {
    const Dim& extent = domain_.extents.at(e->index);
    Dim last = extent - Dim(1);
    return fitted({Dim(0), last, 0, last.max(domain_.symbols)}, e->dtype);
  }
  case ExprKind::Extent:
    return fitted({e->extent, e->extent, e->extent.min(domain_.symbols), e->extent.max(domain_.symbols)}, e->dtype);
  case ExprKind::Access: {
    const TensorType& type = domain_.operands.at(e->operand);
    Range range = all;
    if (type.bound) {
      Dim last = *type.bound - Dim(1);
      range = fitted({Dim(0), last, 0, last.max(domain_.symbols)}, e->dtype);
    }
    if (e->fill) {
      auto fill = static_cast<int64_t>(*e->fill);
      range = join(range, {Dim(fill), Dim(fill), fill, fill});
    }
    return range;
  }
  case ExprKind::Cast: {
    ExprRef from = e->args[0];
    return isFloat(from->dtype) || e->dtype == DType::Bool ? all : fitted(known_.at(from), e->dtype);
  }
  case ExprKind::Apply: return e->dtype == DType::Bool ? all : ofApply(e);
  case ExprKind::Draw: return all;
  }
  DNN_UNREACHABLE("every kind of expression has a range");
}

Range RangeAnalysis::ofApply(ExprRef e) {
  Limits limits = limitsOf(e->dtype);
  Range all = {Dim(limits.min), Dim(limits.max), limits.min, limits.max};
  auto arg = [&](size_t i) -> const Range& { return known_.at(e->args[i]); };
  if (e->op == ScalarOp::Div || e->op == ScalarOp::Mod) {
    const Range& divisor = arg(1);
    if (divisor.min <= 0) {
      return all;
    }
    if (e->op == ScalarOp::Div) {
      // The least divisor makes the most of a quotient; a large one leaves 0, or -1.
      Range most = ofDiv(arg(0), divisor.min);
      int64_t small = arg(0).min >= 0 ? 0 : -1;
      return fitted(divisor.min == divisor.max ? most : join(most, {Dim(small), Dim(0), small, 0}), e->dtype);
    }
    bool unchanged = arg(0).min >= 0 && arg(0).max < divisor.min;
    return unchanged ? arg(0) : fitted({Dim(0), divisor.upper - Dim(1), 0, divisor.max - 1}, e->dtype);
  }
  if (e->op == ScalarOp::Select) {
    return join(arg(1), arg(2));
  }
  if (e->op == ScalarOp::StopGrad) {
    return arg(0);
  }
  if (e->op == ScalarOp::Min || e->op == ScalarOp::Max) {
    const Range& a = arg(0);
    const Range& b = arg(1);
    bool isMin = e->op == ScalarOp::Min;
    Range both = join(a, b);
    // The result lies on the near side of either argument; of two bounds keep the provably better one, else the
    // symbolic one, since the numbers are kept besides.
    auto better = [&](const Dim& x, const Dim& y, bool smaller) {
      if (provablyLessEqual(x, y)) {
        return smaller ? x : y;
      }
      if (provablyLessEqual(y, x)) {
        return smaller ? y : x;
      }
      return x.isStatic() ? y : x;
    };
    if (isMin) {
      both.upper = better(a.upper, b.upper, true);
      both.max = std::min(a.max, b.max);
    } else {
      both.lower = better(a.lower, b.lower, false);
      both.min = std::max(a.min, b.min);
    }
    return fitted(both, e->dtype);
  }
  if (e->op == ScalarOp::Abs) {
    const Range& a = arg(0);
    if (a.min >= 0) {
      return a;
    }
    if (a.min < -valueLimit || a.max > valueLimit) {
      return all;
    }
    int64_t last = std::max(-a.min, a.max);
    return fitted({Dim(0), Dim(last), 0, last}, e->dtype);
  }
  std::optional<LinearForm> form = linearForm(e);
  if (!form || (form->terms.size() == 1 && form->terms[0].atom == e)) {
    return all;
  }
  if (!isSmall(form->constant, domain_.symbols)) {
    return all;
  }
  Range sum = {form->constant, form->constant, form->constant.min(domain_.symbols),
               form->constant.max(domain_.symbols)};
  for (const LinearTerm& term : form->terms) {
    const Range& atom = known_.at(term.atom);
    bool flip = term.factor < 0;
    __int128 min = static_cast<__int128>(flip ? atom.max : atom.min) * term.factor + sum.min;
    __int128 max = static_cast<__int128>(flip ? atom.min : atom.max) * term.factor + sum.max;
    if (min < -valueLimit || max > valueLimit) {
      return all;
    }
    sum.min = static_cast<int64_t>(min);
    sum.max = static_cast<int64_t>(max);
    auto add = [&](Dim& bound, const Dim& part) {
      if (reach(part, domain_.symbols) * (flip ? -term.factor : term.factor) > valueLimit) {
        return false;
      }
      bound = bound + part * term.factor;
      return isSmall(bound, domain_.symbols);
    };
    if (!add(sum.lower, flip ? atom.upper : atom.lower) || !add(sum.upper, flip ? atom.lower : atom.upper)) {
      return all;
    }
  }
  return fitted(sum, e->dtype);
}

Range RangeAnalysis::ofDiv(const Range& value, int64_t divisor) const {
  Range result;
  result.min = floorDiv(value.min, divisor);
  result.max = floorDiv(value.max, divisor);
  // Linear over the symbols if all factors are multiples; else, for values ≥ 0, 0 ≤ v/c ≤ v.
  auto exact = [&](const Dim& dim) -> std::optional<Dim> {
    Dim quotient(floorDiv(dim.constant(), divisor));
    for (auto [symbol, factor] : dim.terms()) {
      if (factor % divisor != 0) {
        return std::nullopt;
      }
      quotient = quotient + Dim::symbol(symbol, factor / divisor);
    }
    return quotient;
  };
  result.lower = exact(value.lower).value_or(Dim(result.min));
  result.upper = exact(value.upper).value_or(value.min >= 0 ? value.upper : Dim(result.max));
  return result;
}

Range RangeAnalysis::join(const Range& a, const Range& b) const {
  Range result;
  result.min = std::min(a.min, b.min);
  result.max = std::max(a.max, b.max);
  result.lower = provablyLessEqual(a.lower, b.lower)   ? a.lower
                 : provablyLessEqual(b.lower, a.lower) ? b.lower
                                                       : Dim(result.min);
  result.upper = provablyLessEqual(a.upper, b.upper)   ? b.upper
                 : provablyLessEqual(b.upper, a.upper) ? a.upper
                                                       : Dim(result.max);
  return result;
}

bool RangeAnalysis::neverNegative(ExprRef e) { return of(e).min >= 0; }

bool RangeAnalysis::alwaysBelow(ExprRef e, const Dim& extent) {
  Range range = of(e);
  return range.max < extent.min(domain_.symbols) || provablyLessEqual(range.upper, extent - Dim(1));
}

bool RangeAnalysis::alwaysInRange(ExprRef e, const Dim& extent) { return neverNegative(e) && alwaysBelow(e, extent); }

Range rangeOf(ExprRef e, const Op& op, std::span<const Symbol> symbols) { return RangeAnalysis(op, symbols).of(e); }

} // namespace dnn::graph
