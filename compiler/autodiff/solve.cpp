#include "compiler/autodiff/solve.h"

#include "compiler/algebra/reindex.h"
#include "compiler/support/assert.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace dnn::autodiff {

using algebra::isApply;
using algebra::substituteIndices;
using graph::ExprKind;
using graph::LinearForm;
using graph::LinearTerm;
using graph::RangeAnalysis;

namespace {

/// An index variable while solving. Positions: the element's indices, the op's indices, indices made on the way.
struct Unknown {
  Dim extent;
  std::string name;
  bool known = false;         // an index of the element
  ExprRef solution = nullptr; // in terms of others
};

/// subscript = target, both over the solver's variables.
struct Equation {
  ExprRef subscript;
  ExprRef target;
};

int64_t inverseModulo(int64_t a, int64_t m) {
  for (int64_t x = 1; x < m; ++x) {
    if (((a * x) % m + m) % m == 1) {
      return x;
    }
  }
  return 1;
}

class Solver {
public:
  Solver(const Builder& b, const InverseProblem& problem) : b_(b), problem_(problem) {
    rank_ = problem.elementExtents.size();
    for (const Dim& extent : problem.elementExtents) {
      vars_.push_back({extent, "", true, nullptr});
    }
    for (size_t i = 0; i < problem.domain.extents.size(); ++i) {
      vars_.push_back({problem.domain.extents[i], problem.vars[i].name, false, nullptr});
    }
    std::vector<ExprRef> shift =
        algebra::indexRange(b.pool(), static_cast<uint32_t>(rank_), problem.domain.extents.size());
    for (size_t j = 0; j < problem.subscripts.size(); ++j) {
      equations_.push_back({substituteIndices(b, problem.subscripts[j], shift), problem.element[j]});
    }
  }

  Inverse solve() {
    while (lowerQuotient()) {
    }
    while (solveOne()) {
    }
    for (const Equation& equation : equations_) {
      close(equation);
    }
    return finish();
  }

private:
  ExprPool& pool() const { return b_.pool(); }
  ExprRef index(size_t v) const { return b_.pool().index(static_cast<uint32_t>(v)); }

  graph::IndexDomain domain() const {
    graph::IndexDomain domain = problem_.domain;
    domain.extents.clear();
    for (const Unknown& var : vars_) {
      domain.extents.push_back(var.extent);
    }
    return domain;
  }
  bool provedInRange(ExprRef e, const Dim& extent) const { return RangeAnalysis(domain()).alwaysInRange(e, extent); }

  bool isUnknown(ExprRef e) const { return e->kind == ExprKind::Index && !vars_[e->index].known; }
  bool mentionsUnknown(ExprRef e) const {
    bool found = false;
    graph::forEachNode(e, [&](ExprRef node) { found |= isUnknown(node); });
    return found;
  }

  size_t newVar(Dim extent, const std::string& name) {
    vars_.push_back({std::move(extent), name, false, nullptr});
    return vars_.size() - 1;
  }

  /// ceil(extent / s): exact where it is static or a multiple, else an upper bound, which guards make exact.
  Dim quotientExtent(const Dim& extent, int64_t s) const {
    bool multiple = extent.constant() % s == 0;
    for (auto [symbol, factor] : extent.terms()) {
      multiple &= factor % s == 0;
    }
    if (multiple) {
      Dim quotient(extent.constant() / s);
      for (auto [symbol, factor] : extent.terms()) {
        quotient = quotient + Dim::symbol(symbol, factor / s);
      }
      return quotient;
    }
    if (extent.isStatic()) {
      return Dim((extent.constant() + s - 1) / s);
    }
    return extent;
  }

  /// v := value everywhere, and 0 ≤ value < extent of v as a guard where it is not proved.
  void define(size_t v, ExprRef value) {
    std::vector<ExprRef> replacement(vars_.size(), nullptr);
    for (size_t i = 0; i < vars_.size(); ++i) {
      replacement[i] = index(i);
    }
    replacement[v] = value;
    auto substitute = [&](ExprRef e) { return substituteIndices(b_, e, replacement); };
    for (Equation& equation : equations_) {
      equation.subscript = substitute(equation.subscript);
    }
    for (Unknown& var : vars_) {
      var.solution = var.solution == nullptr ? nullptr : substitute(var.solution);
    }
    for (ExprRef& guard : guards_) {
      guard = substitute(guard);
    }
    for (Bound& bound : bounds_) {
      bound.value = substitute(bound.value);
    }
    vars_[v].solution = value;
    bounds_.push_back({value, vars_[v].extent});
  }

  // 1. Quotients and remainders.

  bool lowerQuotient() {
    for (const Equation& equation : equations_) {
      ExprRef found = nullptr;
      graph::forEachNode(equation.subscript, [&](ExprRef e) {
        bool quasiAffine = graph::isDivByConstant(e) || graph::isModByConstant(e);
        if (found == nullptr && quasiAffine && !refused(e) && mentionsUnknown(e)) {
          found = e; // the innermost one: arguments are visited first
        }
      });
      if (found != nullptr) {
        lower(found->args[0], graph::divisorOf(found));
        return true;
      }
    }
    return false;
  }

  bool refused(ExprRef e) const { return std::ranges::count(refused_, e) > 0; }

  void lower(ExprRef argument, int64_t divisor) {
    ExprRef quotient = pool().apply(ScalarOp::Div, {argument, pool().integer(divisor)});
    ExprRef remainder = pool().apply(ScalarOp::Mod, {argument, pool().integer(divisor)});
    std::optional<LinearForm> form = graph::linearForm(argument);
    bool opaque = !form || !form->isAffine();
    graph::Range range = RangeAnalysis(domain()).of(argument);
    constexpr int64_t limit = int64_t(1) << 31;
    if (opaque || range.min <= -limit || range.max >= limit - 1) {
      refused_.push_back(quotient);
      refused_.push_back(remainder);
      return;
    }
    const std::string name = argument->kind == ExprKind::Index ? vars_[argument->index].name : "q";
    if (isUnknown(argument)) { // p = s·q + t
      size_t v = argument->index;
      size_t q = newVar(quotientExtent(vars_[v].extent, divisor), name);
      size_t t = newVar(Dim(divisor), name);
      define(v, b_.add(b_.mul(pool().integer(divisor), index(q)), index(t)));
      simplifyQuotients(index(q), index(t), divisor, vars_[v].solution);
      return;
    }
    int64_t first = range.min >= 0 ? range.min / divisor : -((-range.min + divisor - 1) / divisor);
    int64_t last = range.max >= 0 ? range.max / divisor : -((-range.max + divisor - 1) / divisor);
    size_t q = newVar(Dim(last - first + 1), name);
    size_t t = newVar(Dim(divisor), name);
    ExprRef shifted = b_.add(index(q), pool().integer(first));
    replaceEverywhere(quotient, shifted);
    replaceEverywhere(remainder, index(t));
    // argument - s·q - t = s·first
    equations_.push_back({b_.sub(b_.sub(argument, b_.mul(pool().integer(divisor), index(q))), index(t)),
                          pool().integer(divisor * first)});
  }

  /// After p := s·q + t the builder leaves p / s as q + t / s: t / s is 0 and t % s is t.
  void simplifyQuotients(ExprRef q, ExprRef t, int64_t s, ExprRef p) {
    replaceEverywhere(pool().apply(ScalarOp::Div, {t, pool().integer(s)}), pool().integer(0));
    replaceEverywhere(pool().apply(ScalarOp::Mod, {t, pool().integer(s)}), t);
    replaceEverywhere(pool().apply(ScalarOp::Div, {p, pool().integer(s)}), q);
    replaceEverywhere(pool().apply(ScalarOp::Mod, {p, pool().integer(s)}), t);
  }

  void replaceEverywhere(ExprRef from, ExprRef to) {
    for (Equation& equation : equations_) {
      equation.subscript =
          algebra::rebuild(b_, equation.subscript, [&](ExprRef e, const std::vector<ExprRef>& args) -> ExprRef {
            if (e == from) {
              return to;
            }
            ExprRef made = algebra::withArgs(b_, e, args);
            return made == from ? to : made;
          });
    }
  }

  // 2. Linear equations.

  /// subscript - target as unknown·factor + rest.
  struct Split {
    LinearForm form;
    std::vector<LinearTerm> candidates; // unknown indices that occur nowhere else in the equation
    size_t unknowns = 0;
    bool data = false; // the rest mentions unknowns
  };

  std::optional<Split> split(const Equation& equation) const {
    Split result;
    std::optional<LinearForm> form = graph::linearForm(b_.sub(equation.subscript, equation.target));
    if (!form) {
      return std::nullopt;
    }
    result.form = *form;
    for (const LinearTerm& term : form->terms) {
      if (!isUnknown(term.atom)) {
        result.data |= mentionsUnknown(term.atom);
        continue;
      }
      ++result.unknowns;
      bool blocked = std::ranges::any_of(form->terms, [&](const LinearTerm& other) {
        return other.atom != term.atom && graph::dependsOnIndex(other.atom, term.atom->index);
      });
      if (!blocked) {
        result.candidates.push_back(term);
      }
    }
    return result;
  }

  int64_t largest(const LinearTerm& term) const { return vars_[term.atom->index].extent.max(problem_.domain.symbols); }

  /// How many times fewer points are visited when the equation is solved for this index: its extent, and the factor as well
  /// where that splits another index by its residue.
  int64_t pointsSpared(const Split& s, const LinearTerm& target) const {
    int64_t factor = std::abs(target.factor);
    bool splits = std::ranges::any_of(s.candidates, [&](const LinearTerm& other) {
      return other.atom != target.atom && std::gcd(std::abs(other.factor), factor) == 1;
    });
    return std::min(largest(target), INT64_MAX / factor) * (splits ? factor : 1);
  }

  bool solveOne() {
    size_t best = equations_.size();
    Split bestSplit;
    auto rank = [](const Split& s) {
      int unit = s.unknowns == 1 && std::abs(s.candidates[0].factor) == 1 ? 0 : s.unknowns == 1 ? 1 : 2;
      return s.data ? unit + 3 : unit;
    };
    for (size_t i = 0; i < equations_.size(); ++i) {
      std::optional<Split> s = split(equations_[i]);
      if (s && !s->candidates.empty() && (best == equations_.size() || rank(*s) < rank(bestSplit))) {
        best = i;
        bestSplit = *s;
      }
    }
    if (best == equations_.size()) {
      return false;
    }
    equations_.erase(equations_.begin() + static_cast<std::ptrdiff_t>(best));
    if (takeDigit(bestSplit)) {
      return true;
    }
    const LinearTerm* target = &bestSplit.candidates[0];
    for (const LinearTerm& term : bestSplit.candidates) {
      int64_t more = pointsSpared(bestSplit, term) - pointsSpared(bestSplit, *target);
      // Of two equals the one that makes residues, which are windows with fixed subscripts again.
      if (more > 0 || (more == 0 && std::abs(term.factor) > std::abs(target->factor))) {
        target = &term;
      }
    }
    solveFor(bestSplit, *target);
    return true;
  }

  /// u + g·(…) = known with 0 ≤ u < g, as in row-major positions: u is the remainder modulo g, and the rest is the
  /// quotient, an equation of its own.
  bool takeDigit(const Split& s) {
    if (s.candidates.size() < 2 || s.unknowns != s.candidates.size()) {
      return false;
    }
    for (const LinearTerm& digit : s.candidates) {
      int64_t g = 0;
      for (const LinearTerm& other : s.candidates) {
        g = other.atom == digit.atom ? g : std::gcd(g, std::abs(other.factor));
      }
      const Dim& extent = vars_[digit.atom->index].extent;
      if (digit.factor != 1 || g < 2 || !extent.isStatic() || extent.constant() > g) {
        continue;
      }
      LinearForm rest;
      LinearForm known;
      known.constant = s.form.constant * -1;
      for (const LinearTerm& term : s.form.terms) {
        if (term.atom == digit.atom) {
          continue;
        }
        bool unknown = isUnknown(term.atom);
        (unknown ? rest : known).terms.push_back({term.atom, unknown ? term.factor / g : -term.factor});
      }
      splitByElement(extent.constant() < g ? empty_ : even_, known, g);
      ExprRef value = graph::toExpr(pool(), known);
      ExprRef divisor = pool().integer(g);
      equations_.push_back({graph::toExpr(pool(), rest), b_.div(value, divisor)});
      define(digit.atom->index, b_.make(ScalarOp::Mod, {value, divisor}));
      return true;
    }
    return false;
  }

  static LinearForm without(const LinearForm& form, ExprRef atom) {
    LinearForm rest = form;
    std::erase_if(rest.terms, [&](const LinearTerm& term) { return term.atom == atom; });
    return rest;
  }
  static LinearForm scaled(LinearForm form, int64_t factor) {
    form.constant = form.constant * factor;
    for (LinearTerm& term : form.terms) {
      term.factor *= factor;
    }
    return form;
  }

  /// factor·target + rest = 0.
  void solveFor(const Split& s, const LinearTerm& target) {
    LinearForm rest = without(s.form, target.atom);
    size_t v = target.atom->index;
    if (std::abs(target.factor) == 1) {
      define(v, graph::toExpr(pool(), scaled(rest, -target.factor)));
      return;
    }
    int64_t modulus = std::abs(target.factor);
    const LinearTerm* helper = nullptr;
    for (const LinearTerm& term : s.candidates) {
      bool usable = term.atom != target.atom && std::gcd(std::abs(term.factor), modulus) == 1;
      if (!usable) {
        continue;
      }
      bool unit = std::abs(term.factor) == 1;
      bool helperUnit = helper != nullptr && std::abs(helper->factor) == 1;
      bool better =
          helper == nullptr || (unit && !helperUnit) || (unit == helperUnit && largest(term) > largest(*helper));
      helper = better ? &term : helper;
    }
    if (helper != nullptr) {
      splitByResidue(rest, target, *helper);
      return;
    }
    // target = -rest / factor, where the division leaves no remainder. If all unknowns have a factor in common with it,
    // whether it leaves one is decided by the residue of what is known.
    int64_t common = modulus;
    for (const LinearTerm& term : s.candidates) {
      common = std::gcd(common, std::abs(term.factor));
    }
    LinearForm known = rest;
    std::erase_if(known.terms, [&](const LinearTerm& term) { return isUnknown(term.atom); });
    if (common > 1 && !s.data) {
      splitByElement(empty_, known, common);
    }
    ExprRef numerator = graph::toExpr(pool(), scaled(rest, target.factor > 0 ? -1 : 1));
    ExprRef divisor = pool().integer(modulus);
    requireTrue(b_.eq(b_.make(ScalarOp::Mod, {numerator, divisor}), pool().integer(0)));
    define(v, b_.div(numerator, divisor));
  }

  /// factor·target + c·u + others = 0 with c prime to s = |factor|: u = s·u1 + u0, where u0 is the residue that makes
  /// the sum divisible by s, and then the target is determined.
  void splitByResidue(const LinearForm& rest, const LinearTerm& target, const LinearTerm& helper) {
    int64_t s = std::abs(target.factor);
    int64_t sign = helper.factor > 0 ? 1 : -1;
    int64_t factor = target.factor * sign; // after making c positive
    int64_t c = helper.factor * sign;
    LinearForm others = scaled(without(rest, helper.atom), -sign); // c·u = others - factor·target
    size_t u = helper.atom->index;
    ExprRef modulus = pool().integer(s);
    ExprRef known = graph::toExpr(pool(), others);
    ExprRef residue = b_.make(ScalarOp::Mod, {graph::toExpr(pool(), scaled(others, inverseModulo(c % s, s))), modulus});
    const Dim extent = vars_[u].extent;
    Dim slices = quotientExtent(extent, s);
    if (residue->kind == ExprKind::Const && extent.isStatic()) {
      slices = Dim(std::max<int64_t>(1, (extent.constant() - residue->integer + s - 1) / s));
    }
    bool whole = slices == Dim(1);
    ExprRef u1 = whole ? pool().integer(0) : index(newVar(slices, vars_[u].name));
    ExprRef value = b_.add(b_.mul(modulus, u1), residue);
    ExprRef solved = nullptr;
    if (c == 1) { // factor·target = known - residue - s·u1
      ExprRef quotient = b_.sub(b_.div(known, modulus), u1);
      solved = factor > 0 ? quotient : b_.neg(quotient);
    } else {
      ExprRef numerator = b_.sub(known, b_.mul(pool().integer(c), value));
      ExprRef quotient = b_.div(numerator, modulus);
      solved = factor > 0 ? quotient : b_.neg(quotient);
    }
    if (extent.isStatic()) {
      bool ragged = extent.constant() % s != 0;
      splitByElement(extent.constant() < s ? empty_ : ragged ? phase_ : even_, others, s);
    }
    define(u, value);
    define(target.atom->index, solved);
  }

  void requireTrue(ExprRef condition) {
    if (!algebra::isTrue(condition)) {
      guards_.push_back(condition);
    }
  }

  /// Where the form is ±(index of the element) + constant, splitting by that index's residue decides the form's.
  void splitByElement(std::optional<Inverse::Phase>& phase, const LinearForm& form, int64_t modulus) const {
    if (form.constant.isStatic() && form.terms.size() == 1 && !isUnknown(form.terms[0].atom) &&
        form.terms[0].atom->kind == ExprKind::Index && std::abs(form.terms[0].factor) == 1) {
      phase = Inverse::Phase{form.terms[0].atom->index, modulus};
    }
  }

  // 3. What is left.

  void close(const Equation& equation) {
    std::optional<Split> s = split(equation);
    if (s && s->form.terms.empty() && s->form.constant == Dim(0)) {
      return;
    }
    scatter_ |= mentionsUnknown(equation.subscript);
    if (s && s->form.terms.size() == 1 && s->form.constant.isStatic()) { // ±index + constant = 0
      const LinearTerm& term = s->form.terms[0];
      int64_t at = s->form.constant.constant() * -term.factor;
      if (std::abs(term.factor) == 1 && term.atom->kind == ExprKind::Index && vars_[term.atom->index].known && at >= 0) {
        slice_ = Inverse::Slice{term.atom->index, at};
      }
    }
    requireTrue(b_.eq(equation.subscript, equation.target));
  }

  Inverse finish() {
    Inverse result;
    result.scatter = scatter_;
    std::vector<ExprRef> renumbered(vars_.size());
    for (size_t i = 0; i < vars_.size(); ++i) {
      if (vars_[i].known) {
        renumbered[i] = index(i);
      } else if (vars_[i].solution == nullptr) {
        renumbered[i] = index(rank_ + result.free.size());
        result.free.push_back({vars_[i].name, vars_[i].extent});
      }
    }
    graph::IndexDomain freeDomain = problem_.domain;
    freeDomain.extents = problem_.elementExtents;
    for (const graph::IndexVar& var : result.free) {
      freeDomain.extents.push_back(var.extent);
    }
    RangeAnalysis ranges(freeDomain);
    auto renumber = [&](ExprRef e) { return substituteIndices(b_, e, renumbered); };
    for (size_t i = 0; i < problem_.domain.extents.size(); ++i) {
      const Unknown& var = vars_[rank_ + i];
      result.point.push_back(var.solution == nullptr ? renumbered[rank_ + i] : renumber(var.solution));
    }
    for (const Bound& bound : bounds_) {
      ExprRef value = renumber(bound.value);
      bool low = ranges.neverNegative(value);
      bool high = ranges.alwaysBelow(value, bound.extent);
      ExprRef lower = low ? pool().boolean(true) : pool().apply(ScalarOp::Ge, {value, pool().integer(0)});
      ExprRef upper =
          high ? pool().boolean(true) : b_.make(ScalarOp::Lt, {value, graph::toExpr(pool(), {bound.extent, {}})});
      ExprRef inside = b_.both(lower, upper);
      if (!algebra::isTrue(inside)) {
        result.rangeGuards.push_back({result.guards.size(), value, bound.extent});
        result.guards.push_back(inside);
      }
    }
    for (ExprRef guard : guards_) {
      ExprRef condition = renumber(guard);
      if (!algebra::isTrue(condition)) {
        result.guards.push_back(condition);
      }
    }
    if (empty_ && !result.free.empty()) {
      result.phase = empty_;
    } else if (!result.rangeGuards.empty()) {
      result.phase = phase_;
    }
    if (!result.free.empty()) {
      result.evenPhase = even_;
      result.slice = slice_;
    }
    result.empty = std::ranges::any_of(result.guards, algebra::isFalse);
    return result;
  }

  struct Bound {
    ExprRef value;
    Dim extent;
  };

  const Builder& b_;
  const InverseProblem& problem_;
  size_t rank_ = 0;
  std::vector<Unknown> vars_;
  std::vector<Equation> equations_;
  std::vector<ExprRef> guards_;
  std::vector<Bound> bounds_;
  std::vector<ExprRef> refused_;
  std::optional<Inverse::Phase> phase_; // residues that differ in their number of points
  std::optional<Inverse::Phase> empty_; // residues of which some have no points
  std::optional<Inverse::Phase> even_;  // residues that have equally many
  std::optional<Inverse::Slice> slice_;
  bool scatter_ = false;
};

} // namespace

Inverse solveSubscripts(const Builder& b, const InverseProblem& problem) { return Solver(b, problem).solve(); }

} // namespace dnn::autodiff
