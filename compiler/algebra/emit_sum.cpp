// Sums of products back to expressions: common factors outside, guards as selects, one division for terms over the same
// denominator.
#include "compiler/algebra/constants.h"
#include "compiler/algebra/cost.h"
#include "compiler/algebra/sum.h"

#include "compiler/support/assert.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace dnn::algebra {

Term SumAlgebra::commonFactor(const Sum& sum) const {
  Term common = sum.front();
  common.factor = 1;
  for (const Term& term : sum) {
    std::erase_if(common.guards, [&](ExprRef g) { return std::ranges::find(term.guards, g) == term.guards.end(); });
    for (Power& power : common.powers) {
      auto found = std::ranges::find(term.powers, power.base, &Power::base);
      int other = found == term.powers.end() ? 0 : found->exponent;
      bool sameSign = (other > 0) == (power.exponent > 0) && other != 0 && power.exponent != 0;
      int magnitude = std::min(std::abs(other), std::abs(power.exponent));
      power.exponent = sameSign ? (other > 0 ? magnitude : -magnitude) : 0;
    }
    std::erase_if(common.powers, [](const Power& power) { return power.exponent == 0; });
  }
  if (!alwaysCounts(sum, common.guards)) {
    common.powers.clear();
  }
  return common;
}

/// Whether, given the guards, some term counts at every point. Else a factor of all terms must stay behind their
/// guards: outside it would meet a sum that is 0 where it may be infinite.
bool SumAlgebra::alwaysCounts(const Sum& sum, const std::vector<ExprRef>& given) const {
  std::vector<ExprRef> alone; // guards of terms that have no other
  for (const Term& term : sum) {
    std::vector<ExprRef> guards = term.guards;
    std::erase_if(guards, [&](ExprRef g) { return std::ranges::find(given, g) != given.end(); });
    if (guards.empty()) {
      return true;
    }
    if (guards.size() == 1) {
      alone.push_back(guards[0]);
    }
  }
  return std::ranges::any_of(
      alone, [&](ExprRef a) { return std::ranges::any_of(alone, [&](ExprRef b) { return contradict(a, b); }); });
}

Sum SumAlgebra::dividedBy(const Sum& sum, const Term& factor) const {
  Sum result = sum;
  for (Term& term : result) {
    for (const Power& power : factor.powers) {
      auto found = std::ranges::find(term.powers, power.base, &Power::base);
      found->exponent -= power.exponent;
    }
    std::erase_if(term.powers, [](const Power& power) { return power.exponent == 0; });
    std::erase_if(term.guards, [&](ExprRef g) { return std::ranges::find(factor.guards, g) != factor.guards.end(); });
  }
  return result;
}

/// factor · powers: numerators and denominators alternate, so that products neither overflow nor vanish on the way
/// where the whole does not.
ExprRef SumAlgebra::emitProduct(const Term& term, DType dtype) {
  std::vector<ExprRef> above;
  std::vector<ExprRef> below;
  for (const Power& power : term.powers) {
    for (int i = 0; i < std::abs(power.exponent); ++i) {
      (power.exponent > 0 ? above : below).push_back(power.base);
    }
  }
  // A factor that no constant holds comes in two parts.
  bool halves = std::isfinite(term.factor) && !isNormal(term.factor, dtype);
  double second = halves ? std::sqrt(std::fabs(term.factor)) : 1;
  ExprRef first = b_.constant(term.factor / second, dtype);
  ExprRef result = nullptr;
  if (above.empty()) {
    result = first;
    for (ExprRef base : below) {
      result = b_.div(result, base);
    }
    return b_.mul(b_.constant(second, dtype), result);
  }
  result = above[0];
  size_t nextAbove = 1;
  size_t nextBelow = 0;
  while (nextAbove < above.size() || nextBelow < below.size()) {
    if (nextBelow < below.size()) {
      result = b_.div(result, below[nextBelow++]);
    }
    if (nextAbove < above.size()) {
      result = b_.mul(result, above[nextAbove++]);
    }
  }
  return b_.mul(first, b_.mul(b_.constant(second, dtype), result));
}

ExprRef SumAlgebra::emitTerm(const Term& term, DType dtype) {
  ExprRef value = emitProduct(term, dtype);
  ExprRef condition = nullptr;
  for (ExprRef guard : term.guards) {
    condition = condition == nullptr ? guard : b_.both(condition, guard);
  }
  return b_.when(condition, value);
}

/// Adds parts with their signs (true = plus), a positive one first.
ExprRef SumAlgebra::addUp(const std::vector<std::pair<ExprRef, bool>>& parts, DType dtype) const {
  ExprRef sum = nullptr;
  for (bool sign : {true, false}) {
    for (const auto& [value, plus] : parts) {
      if (plus != sign) {
        continue;
      }
      if (sum == nullptr) {
        sum = plus ? value : b_.neg(value);
      } else {
        sum = plus ? b_.add(sum, value) : b_.sub(sum, value);
      }
    }
  }
  return sum == nullptr ? b_.zero(dtype) : sum;
}

ExprRef SumAlgebra::emitPlain(const Sum& sum, DType dtype) {
  std::vector<std::pair<ExprRef, bool>> parts;
  for (Term term : sum) {
    bool plus = term.factor > 0;
    term.factor = std::fabs(term.factor);
    parts.emplace_back(emitTerm(term, dtype), plus);
  }
  return addUp(parts, dtype);
}

ExprRef SumAlgebra::emit(const Sum& sum, DType dtype) {
  if (sum.empty()) {
    return b_.zero(dtype);
  }
  if (sum.size() == 1) {
    return emitTerm(sum[0], dtype);
  }
  Term common = commonFactor(sum);
  Sum rest = dividedBy(sum, common);
  double scale = std::fabs(rest.front().factor);
  bool sameSize = std::ranges::all_of(rest, [&](const Term& t) { return std::fabs(t.factor) == scale; });
  bool allNegative = std::ranges::all_of(rest, [](const Term& t) { return t.factor < 0; });
  scale = (sameSize ? scale : 1) * (allNegative ? -1 : 1);
  if (common.powers.empty() && common.guards.empty() && scale == 1) {
    return emitGuarded(sum, dtype);
  }
  for (Term& term : rest) {
    term.factor /= scale;
  }
  // The sum takes the place of one more numerator.
  ExprRef inner = emitGuarded(rest, dtype);
  common.factor = scale;
  common.powers.insert(common.powers.begin(), {inner, 1});
  return emitTerm(common, dtype);
}

/// Terms of the same guards under one select; a guard and its negation make one select of two branches.
ExprRef SumAlgebra::emitGuarded(const Sum& sum, DType dtype) {
  std::vector<std::pair<std::vector<ExprRef>, Sum>> groups;
  for (const Term& term : sum) {
    auto found = std::ranges::find_if(groups, [&](const auto& group) { return group.first == term.guards; });
    if (found == groups.end()) {
      groups.push_back({term.guards, {}});
      found = groups.end() - 1;
    }
    found->second.push_back(term);
    found->second.back().guards.clear();
  }
  if (groups.size() == 1) {
    DNN_ASSERT(groups[0].first.empty(), "guards of all terms have been taken out");
    return emitGrouped(sum, dtype);
  }
  std::vector<std::pair<ExprRef, bool>> parts;
  for (size_t i = 0; i < groups.size(); ++i) {
    auto& [guards, terms] = groups[i];
    if (terms.empty()) {
      continue; // the other branch of one before
    }
    if (guards.empty()) {
      parts.emplace_back(emitGrouped(terms, dtype), true);
      continue;
    }
    size_t partner = groups.size();
    for (size_t j = i + 1; j < groups.size(); ++j) {
      bool single = guards.size() == 1 && groups[j].first.size() == 1 && !groups[j].second.empty();
      if (single && contradict(guards[0], groups[j].first[0])) {
        partner = j;
      }
    }
    if (partner < groups.size()) {
      parts.emplace_back(b_.select(guards[0], emit(terms, dtype), emit(groups[partner].second, dtype)), true);
      groups[partner].second.clear();
      continue;
    }
    bool minus = std::ranges::all_of(terms, [](const Term& t) { return t.factor < 0; });
    for (Term& term : terms) {
      term.factor = minus ? -term.factor : term.factor;
    }
    ExprRef condition = nullptr;
    for (ExprRef guard : guards) {
      condition = condition == nullptr ? guard : b_.both(condition, guard);
    }
    parts.emplace_back(b_.when(condition, emit(terms, dtype)), !minus);
  }
  return addUp(parts, dtype);
}

/// Terms without guards and without a factor common to all: the power that most of them share is taken out of those.
ExprRef SumAlgebra::emitGrouped(const Sum& sum, DType dtype) {
  if (sum.size() <= 1) {
    return sum.empty() ? b_.zero(dtype) : emitTerm(sum[0], dtype);
  }
  const Power* best = nullptr;
  int bestGain = 0;
  for (const Term& term : sum) {
    for (const Power& power : term.powers) {
      int users = 0;
      for (const Term& other : sum) {
        users += static_cast<int>(std::ranges::count_if(other.powers, [&](const Power& p) {
          return p.base == power.base && (p.exponent > 0) == (power.exponent > 0);
        }));
      }
      int gain = (users - 1) * (power.exponent < 0 ? 12 : 2);
      if (gain > bestGain) {
        best = &power;
        bestGain = gain;
      }
    }
  }
  if (best == nullptr || bestGain == 0) {
    return emitPlain(sum, dtype);
  }
  Power shared{best->base, best->exponent > 0 ? 1 : -1};
  Sum with;
  Sum without;
  for (const Term& term : sum) {
    bool has = std::ranges::any_of(term.powers, [&](const Power& p) {
      return p.base == shared.base && (p.exponent > 0) == (shared.exponent > 0);
    });
    (has ? with : without).push_back(term);
  }
  if (without.empty()) {
    return emit(sum, dtype);
  }
  ExprRef grouped = emit(with, dtype);
  bool minus = isApply(grouped, ScalarOp::Neg);
  bool minusRest = std::ranges::all_of(without, [](const Term& t) { return t.factor < 0; });
  for (Term& term : without) {
    term.factor = minusRest ? -term.factor : term.factor;
  }
  return addUp({{minus ? grouped->args[0] : grouped, !minus}, {emit(without, dtype), !minusRest}}, dtype);
}

} // namespace dnn::algebra
