#include "compiler/algebra/sum.h"

#include "compiler/algebra/constants.h"
#include "compiler/algebra/reindex.h"
#include "compiler/support/assert.h"

#include <algorithm>
#include <cmath>

namespace dnn::algebra {

using graph::ExprKind;

namespace {

/// More terms than this are no simplification, and cost compile time.
constexpr size_t maxTerms = 48;
constexpr int maxExponent = 8;

void conditionsOf(ExprRef condition, std::vector<ExprRef>& conditions) {
  if (isApply(condition, ScalarOp::And)) {
    conditionsOf(condition->args[0], conditions);
    conditionsOf(condition->args[1], conditions);
  } else {
    conditions.push_back(condition);
  }
}

} // namespace

bool isRational(ExprRef e) {
  if (e->kind == ExprKind::Const) {
    return isFloat(e->dtype);
  }
  if (e->kind != ExprKind::Apply || !isFloat(e->dtype) || isStorageOnly(e->dtype)) {
    return false;
  }
  return e->op == ScalarOp::Neg || e->op == ScalarOp::Add || e->op == ScalarOp::Sub || e->op == ScalarOp::Mul ||
         e->op == ScalarOp::Div || e->op == ScalarOp::Select;
}

size_t SumAlgebra::orderOf(ExprRef e) { return order_.try_emplace(e, order_.size()).first->second; }

bool SumAlgebra::contradict(ExprRef a, ExprRef b) const { return b_.negated(a) == b || b_.negated(b) == a; }

std::optional<Sum> SumAlgebra::read(ExprRef e) {
  dtype_ = e->dtype;
  if (auto found = known_.find(e); found != known_.end()) {
    return found->second;
  }
  std::optional<Sum> sum = readNew(e);
  if (sum && sum->size() > maxTerms) {
    sum.reset();
  }
  known_[e] = sum;
  return sum;
}

std::optional<Sum> SumAlgebra::readNew(ExprRef e) {
  if (!isRational(e)) {
    return readAtom(e);
  }
  if (e->kind == ExprKind::Const) {
    if (!isNormal(e->number, e->dtype)) {
      return std::nullopt; // ∞·x is no product of real numbers
    }
    return e->number == 0 ? Sum{} : Sum{{e->number, {}, {}}};
  }
  if (e->op == ScalarOp::Select) {
    return readSelect(e);
  }
  std::optional<Sum> a = read(e->args[0]);
  std::optional<Sum> b = e->args.size() > 1 ? read(e->args[1]) : Sum{};
  if (!a || !b) {
    return std::nullopt;
  }
  if (e->op == ScalarOp::Mul) {
    return product(*a, *b);
  }
  if (e->op == ScalarOp::Div) {
    std::optional<Sum> inverted = inverse(*b);
    return inverted ? product(*a, *inverted) : std::nullopt;
  }
  double sign = e->op == ScalarOp::Add ? 1 : -1;
  Sum sum = e->op == ScalarOp::Neg ? Sum{} : *a;
  for (Term term : e->op == ScalarOp::Neg ? *a : *b) {
    term.factor *= sign;
    addTerm(sum, std::move(term));
  }
  return collect(sum);
}

std::optional<Sum> SumAlgebra::readAtom(ExprRef e) {
  ExprRef atom = atom_(e);
  if (atom != e && isRational(atom)) {
    return read(atom);
  }
  orderOf(atom);
  return Sum{{1, {{atom, 1}}, {}}};
}

std::optional<Sum> SumAlgebra::readSelect(ExprRef e) {
  ExprRef condition = atom_(e->args[0]);
  if (condition->kind == ExprKind::Const) {
    return read(e->args[isTrue(condition) ? 1 : 2]);
  }
  std::optional<Sum> then = read(e->args[1]);
  std::optional<Sum> otherwise = read(e->args[2]);
  if (!then || !otherwise) {
    return std::nullopt;
  }
  Sum sum = guarded(condition, *then);
  for (Term& term : guarded(b_.negated(condition), *otherwise)) {
    addTerm(sum, std::move(term));
  }
  return collect(sum);
}

Sum SumAlgebra::guarded(ExprRef condition, const Sum& sum) {
  Sum result;
  std::vector<ExprRef> conditions;
  conditionsOf(condition, conditions);
  for (Term term : sum) {
    term.guards.insert(term.guards.end(), conditions.begin(), conditions.end());
    if (std::optional<Term> normal = normalize(std::move(term))) {
      addTerm(result, std::move(*normal));
    }
  }
  return result;
}

/// Sorted, without repetitions; none if it is 0.
std::optional<Term> SumAlgebra::normalize(Term term) {
  auto byOrder = [&](ExprRef a, ExprRef b) { return orderOf(a) < orderOf(b); };
  std::ranges::sort(term.guards, byOrder);
  term.guards.erase(std::unique(term.guards.begin(), term.guards.end()), term.guards.end());
  for (size_t i = 0; i < term.guards.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (contradict(term.guards[i], term.guards[j])) {
        return std::nullopt;
      }
    }
  }
  // Where t[n] == k is known, p[n, t[n]] is p[n, k].
  for (ExprRef guard : term.guards) {
    if (!mayStandFor_ || !isApply(guard, ScalarOp::Eq) || isFloat(guard->args[0]->dtype)) {
      continue;
    }
    ExprRef read = guard->args[0];
    ExprRef index = guard->args[1];
    if (index->kind != ExprKind::Index) {
      std::swap(read, index);
    }
    if (index->kind != ExprKind::Index || read->kind != ExprKind::Access || !mayStandFor_(index, read)) {
      continue;
    }
    for (Power& power : term.powers) {
      ExprRef base = rebuild(b_, power.base, [&](ExprRef e, const std::vector<ExprRef>&) -> ExprRef {
        return e == read ? index : nullptr;
      });
      if (base != power.base && !isRational(base)) {
        power.base = base;
      }
    }
  }
  std::ranges::sort(term.powers, byOrder, &Power::base);
  std::vector<Power> merged;
  for (const Power& power : term.powers) {
    if (!merged.empty() && merged.back().base == power.base) {
      merged.back().exponent += power.exponent;
    } else {
      merged.push_back(power);
    }
    if (merged.back().exponent == 0) {
      ++cancellations_;
      merged.pop_back();
    }
  }
  term.powers = std::move(merged);
  joinRoots(term);
  bool tooHigh = std::ranges::any_of(term.powers, [](const Power& p) { return std::abs(p.exponent) > maxExponent; });
  DNN_ASSERT(!tooHigh || term.powers.size() > 0, "exponents are bounded by the sizes of expressions");
  return term.factor == 0 ? std::nullopt : std::optional(std::move(term));
}

/// e·sqrt(e)⁻¹ = sqrt(e) and e⁻¹·sqrt(e) = sqrt(e)⁻¹: what is left is finite where the whole is, and needs no quotient.
void SumAlgebra::joinRoots(Term& term) {
  for (Power& root : term.powers) {
    if (!isApply(root.base, ScalarOp::Sqrt)) {
      continue;
    }
    auto square = std::ranges::find(term.powers, root.base->args[0], &Power::base);
    while (square != term.powers.end() && square->exponent * root.exponent < 0) {
      int sign = square->exponent > 0 ? 1 : -1;
      square->exponent -= sign;
      root.exponent += 2 * sign;
      ++cancellations_;
    }
  }
  std::erase_if(term.powers, [](const Power& power) { return power.exponent == 0; });
}

void SumAlgebra::addTerm(Sum& sum, Term term) {
  for (size_t i = 0; i < sum.size(); ++i) {
    if (sum[i].sameProduct(term)) {
      ++cancellations_;
      double largest = std::max(std::fabs(sum[i].factor), std::fabs(term.factor));
      sum[i].factor += term.factor;
      if (std::fabs(sum[i].factor) <= 1e-15 * largest) {
        sum.erase(sum.begin() + static_cast<std::ptrdiff_t>(i));
      }
      return;
    }
  }
  sum.push_back(std::move(term));
}

/// Joins [c]·m + [not c]·m to m.
Sum SumAlgebra::collect(const Sum& sum) {
  Sum result = sum;
  for (size_t i = 0; i < result.size(); ++i) {
    for (size_t j = i + 1; j < result.size(); ++j) {
      const Term& a = result[i];
      const Term& b = result[j];
      if (a.factor != b.factor || a.powers != b.powers || a.guards.size() != b.guards.size()) {
        continue;
      }
      size_t different = a.guards.size();
      bool joins = false;
      for (size_t g = 0; g < a.guards.size(); ++g) {
        if (std::ranges::find(b.guards, a.guards[g]) == b.guards.end()) {
          joins = different == a.guards.size();
          different = g;
        }
      }
      if (!joins) {
        continue;
      }
      ExprRef other = nullptr;
      for (ExprRef guard : b.guards) {
        other = std::ranges::find(a.guards, guard) == a.guards.end() ? guard : other;
      }
      if (other == nullptr || !contradict(a.guards[different], other)) {
        continue;
      }
      Term joined = a;
      joined.guards.erase(joined.guards.begin() + static_cast<std::ptrdiff_t>(different));
      result.erase(result.begin() + static_cast<std::ptrdiff_t>(j));
      result.erase(result.begin() + static_cast<std::ptrdiff_t>(i));
      addTerm(result, std::move(joined));
      return collect(result);
    }
  }
  return result;
}

std::optional<Term> SumAlgebra::productOfTerms(const Term& a, const Term& b) {
  Term term = a;
  term.factor *= b.factor;
  term.powers.insert(term.powers.end(), b.powers.begin(), b.powers.end());
  term.guards.insert(term.guards.end(), b.guards.begin(), b.guards.end());
  return normalize(std::move(term));
}

/// The product with sums kept as bases.
std::optional<Sum> SumAlgebra::product(const Sum& a, const Sum& b) {
  if (a.empty() || b.empty()) {
    return Sum{};
  }
  // A number or a guard goes into the terms of the other side.
  bool simple = (a.size() == 1 && a[0].powers.empty()) || (b.size() == 1 && b[0].powers.empty());
  if (simple) {
    return times(a, b);
  }
  DType dtype = dtypeOf(a);
  Term left = a.size() == 1 ? a[0] : asFactor(a, dtype);
  Term right = b.size() == 1 ? b[0] : asFactor(b, dtype);
  std::optional<Term> term = productOfTerms(left, right);
  return term ? Sum{*term} : Sum{};
}

/// The product, term by term.
std::optional<Sum> SumAlgebra::times(const Sum& a, const Sum& b) {
  Sum sum;
  if (a.size() * b.size() > maxTerms) {
    return std::nullopt;
  }
  for (const Term& left : a) {
    for (const Term& right : b) {
      if (std::optional<Term> term = productOfTerms(left, right)) {
        addTerm(sum, std::move(*term));
      }
    }
  }
  return collect(sum);
}

std::optional<Sum> SumAlgebra::inverse(const Sum& sum) {
  if (sum.empty()) {
    return std::nullopt;
  }
  Term term = sum.size() == 1 ? sum[0] : asFactor(sum, dtypeOf(sum));
  if (!term.guards.empty()) {
    return std::nullopt; // 0 where a guard does not hold
  }
  term.factor = 1 / term.factor;
  for (Power& power : term.powers) {
    power.exponent = -power.exponent;
  }
  return Sum{term};
}

DType SumAlgebra::dtypeOf(const Sum&) const { return dtype_; }

/// The sum as one term: its common factor times a base that stands for the rest. Equal sums, up to a factor, get the
/// same base.
Term SumAlgebra::asFactor(const Sum& sum, DType dtype) {
  Term common = commonFactor(sum);
  if (!common.guards.empty()) {
    common.guards.clear();
    common.powers.clear();
  }
  Sum rest = dividedBy(sum, common);
  std::ranges::stable_sort(rest, [&](const Term& a, const Term& b) {
    auto key = [&](const Term& t) {
      std::vector<size_t> ids;
      for (const Power& power : t.powers) {
        ids.push_back(orderOf(power.base));
        ids.push_back(static_cast<size_t>(power.exponent + maxExponent));
      }
      for (ExprRef guard : t.guards) {
        ids.push_back(orderOf(guard));
      }
      return ids;
    };
    return key(a) < key(b);
  });
  double scale = rest.front().factor;
  bool sameSize = std::ranges::all_of(rest, [&](const Term& t) { return std::fabs(t.factor) == std::fabs(scale); });
  scale = sameSize ? scale : (scale < 0 ? -1 : 1);
  for (Term& term : rest) {
    term.factor /= scale;
  }
  common.factor = scale;
  ExprRef base = emitPlain(rest, dtype);
  orderOf(base);
  sums_.try_emplace(base, rest);
  common.powers.push_back({base, 1});
  std::optional<Term> normal = normalize(common);
  DNN_ASSERT(normal, "a sum with terms is not 0");
  return *normal;
}

/// Whether base is a sum with a quotient whose denominator is another base of the term.
bool SumAlgebra::cancelsInside(ExprRef base, const Term& term) const {
  auto found = sums_.find(base);
  return found != sums_.end() && std::ranges::any_of(found->second, [&](const Term& inner) {
           return std::ranges::any_of(inner.powers, [&](const Power& p) {
             return p.exponent < 0 &&
                    std::ranges::any_of(
                        term.powers, [&](const Power& outer) { return outer.base == p.base && outer.exponent > 0; });
           });
         });
}

std::optional<Sum> SumAlgebra::multiplyOut(const Sum& sum, bool all) {
  Sum current = sum;
  for (int round = 0; round < 16; ++round) {
    Sum next;
    bool changed = false;
    for (const Term& term : current) {
      // First the sums with a denominator that the term can cancel as it stands.
      auto wanted = std::ranges::find_if(
          term.powers, [&](const Power& power) { return power.exponent > 0 && cancelsInside(power.base, term); });
      if (wanted == term.powers.end()) {
        wanted = std::ranges::find_if(term.powers, [&](const Power& power) {
          auto found = sums_.find(power.base);
          if (power.exponent < 1 || found == sums_.end()) {
            return false;
          }
          return all || std::ranges::any_of(found->second, [](const Term& t) {
                   return !t.guards.empty() ||
                          std::ranges::any_of(t.powers, [](const Power& p) { return p.exponent < 0; });
                 });
        });
      }
      if (wanted == term.powers.end()) {
        addTerm(next, term);
        continue;
      }
      changed = true;
      Term rest = term;
      const Sum factor = sums_.at(wanted->base);
      Power& power = rest.powers[static_cast<size_t>(wanted - term.powers.begin())];
      if (--power.exponent == 0) {
        rest.powers.erase(rest.powers.begin() + (wanted - term.powers.begin()));
      }
      std::optional<Sum> product = times({rest}, factor);
      if (!product || next.size() + product->size() > maxTerms) {
        return std::nullopt;
      }
      for (Term& part : *product) {
        addTerm(next, std::move(part));
      }
    }
    current = collect(next);
    if (!changed) {
      return current;
    }
  }
  return std::nullopt;
}

Sum SumAlgebra::rewriteTerms(const Sum& sum, const std::function<std::optional<Term>(const Term&)>& rewrite) {
  Sum result;
  for (const Term& term : sum) {
    std::optional<Term> rewritten = rewrite(term);
    if (rewritten) {
      for (const Power& power : rewritten->powers) {
        orderOf(power.base);
      }
      rewritten = normalize(std::move(*rewritten));
    }
    addTerm(result, rewritten ? std::move(*rewritten) : term);
  }
  return collect(result);
}

std::optional<Sum> SumAlgebra::splitFractions(const Sum& sum) {
  Sum result;
  for (const Term& term : sum) {
    bool split = false;
    for (size_t i = 0; i < term.powers.size() && !split; ++i) {
      auto found = sums_.find(term.powers[i].base);
      if (term.powers[i].exponent >= 0 || found == sums_.end() || found->second.size() != 2) {
        continue;
      }
      for (size_t part = 0; part < 2 && !split; ++part) {
        const Term& a = found->second[part];
        const Term& c = found->second[1 - part];
        bool single = a.powers.size() == 1 && a.powers[0].exponent == 1 && a.guards.empty() && c.guards.empty();
        auto inTerm = std::ranges::find_if(
            term.powers, [&](const Power& p) { return single && p.base == a.powers[0].base && p.exponent > 0; });
        if (inTerm == term.powers.end()) {
          continue;
        }
        // rest · a · S⁻¹ = rest · (1 - c·S⁻¹) / k
        Term over = term;
        over.factor /= a.factor;
        over.powers.push_back({a.powers[0].base, -1});
        Term whole = over;
        whole.powers.push_back({term.powers[i].base, 1});
        Term minus = over;
        minus.factor = -minus.factor;
        std::optional<Term> first = normalize(whole);
        std::optional<Term> base = normalize(minus);
        std::optional<Term> second = base ? productOfTerms(*base, c) : std::nullopt;
        if (first && second) {
          addTerm(result, *first);
          addTerm(result, *second);
          split = true;
        }
      }
    }
    if (!split) {
      addTerm(result, term);
    }
  }
  return collect(result);
}

std::optional<Sum> SumAlgebra::reflectLogistics(const Sum& sum) {
  Sum result;
  for (const Term& term : sum) {
    size_t found = term.powers.size();
    ExprRef argument = nullptr;
    for (size_t i = 0; i < term.powers.size(); ++i) {
      auto base = sums_.find(term.powers[i].base);
      if (term.powers[i].exponent != -1 || base == sums_.end() || base->second.size() != 2) {
        continue;
      }
      for (size_t part = 0; part < 2; ++part) {
        const Term& one = base->second[part];
        const Term& power = base->second[1 - part];
        bool fits = one.powers.empty() && one.guards.empty() && one.factor == 1 && power.factor == 1 &&
                    power.guards.empty() && power.powers.size() == 1 && power.powers[0].exponent == 1 &&
                    isApply(power.powers[0].base, ScalarOp::Exp);
        if (fits && !isApply(power.powers[0].base->args[0], ScalarOp::Neg)) {
          found = i;
          argument = power.powers[0].base->args[0];
        }
      }
    }
    if (argument == nullptr) {
      addTerm(result, term);
      continue;
    }
    Term rest = term;
    rest.powers.erase(rest.powers.begin() + static_cast<std::ptrdiff_t>(found));
    addTerm(result, rest);
    ExprRef reflected = b_.make(ScalarOp::Exp, {b_.neg(argument)});
    orderOf(reflected);
    Term denominator = asFactor({{1, {}, {}}, {1, {{reflected, 1}}, {}}}, argument->dtype);
    for (Power& power : denominator.powers) {
      power.exponent = -power.exponent;
    }
    rest.factor = -rest.factor / denominator.factor;
    denominator.factor = 1;
    if (std::optional<Term> second = productOfTerms(rest, denominator)) {
      addTerm(result, std::move(*second));
    }
  }
  return collect(result);
}

} // namespace dnn::algebra
