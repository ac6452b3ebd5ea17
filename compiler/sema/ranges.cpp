// A subscript such as `2*i + u - 1` is bounded term by term: each index takes its first or its last value, whichever
// makes the sum extreme. That is exact for affine forms, because an index occurs in one term only after like terms are
// joined. Anything that is not affine becomes a term of its own with an interval.
#include "compiler/sema/ranges.h"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace dnn::sema {

namespace {

int64_t floorDiv(int64_t a, int64_t b) { return a / b - ((a % b != 0) && ((a < 0) != (b < 0))); }

/// Terms are told apart by index, by variable for a scalar one, or by node for what is not affine.
enum class TermKind : uint8_t { Index, Variable, Node };
using TermKey = std::pair<TermKind, uint64_t>;
struct Term {
  int64_t factor = 0;
  Interval range;
};
struct Linear {
  Dim constant;
  std::map<TermKey, Term> terms;
};

Interval boundsOf(const Linear& form) {
  Interval out{form.constant, form.constant};
  for (auto& [key, term] : form.terms) {
    const std::optional<Dim>& least = term.factor > 0 ? term.range.lo : term.range.hi;
    const std::optional<Dim>& most = term.factor > 0 ? term.range.hi : term.range.lo;
    out.lo = out.lo && least ? std::optional(*out.lo + *least * term.factor) : std::nullopt;
    out.hi = out.hi && most ? std::optional(*out.hi + *most * term.factor) : std::nullopt;
  }
  return out;
}

Linear scaled(Linear form, int64_t factor) {
  form.constant = form.constant * factor;
  for (auto& [key, term] : form.terms) {
    term.factor *= factor;
  }
  if (factor == 0) {
    form.terms.clear();
  }
  return form;
}

Linear sum(Linear a, const Linear& b) {
  a.constant = a.constant + b.constant;
  for (auto& [key, term] : b.terms) {
    Term& mine = a.terms[key];
    mine.factor += term.factor;
    mine.range = term.range;
    if (mine.factor == 0) {
      a.terms.erase(key);
    }
  }
  return a;
}

class Bounds {
public:
  explicit Bounds(const FunctionBuilder& function) : function_(function) {}

  Interval interval(const ScalarPtr& s) { return boundsOf(linear(s)); }

private:
  const FunctionBuilder& function_;

  static Linear single(TermKey key, Interval range) {
    Linear form;
    form.terms[key] = {1, std::move(range)};
    return form;
  }

  /// By node: an expression shares its parts, and is walked as a graph.
  std::unordered_map<const Scalar*, Linear> known_;

  Linear linear(const ScalarPtr& s) {
    if (auto it = known_.find(s.get()); it != known_.end()) {
      return it->second;
    }
    Linear form = compute(s);
    known_[s.get()] = form;
    return form;
  }

  Linear compute(const ScalarPtr& s) {
    if (auto* integer = std::get_if<Integer>(&s->node)) {
      return {Dim(integer->value), {}};
    }
    if (auto* index = std::get_if<IndexRef>(&s->node)) {
      return single({TermKind::Index, index->index}, {Dim(0), function_.extent(index->index) - Dim(1)});
    }
    if (auto* extent = std::get_if<ExtentRef>(&s->node)) {
      return {extent->extent, {}};
    }
    if (auto* cast = std::get_if<Cast>(&s->node); cast && isInteger(s->dtype) && isInteger(cast->value->dtype)) {
      return linear(cast->value);
    }
    if (auto* apply = std::get_if<Apply>(&s->node)) {
      if (std::optional<Linear> form = affine(*apply)) {
        return *form;
      }
    }
    if (auto* access = std::get_if<Access>(&s->node); access && access->subscripts.empty()) {
      return single({TermKind::Variable, access->var}, opaque(s));
    }
    return single({TermKind::Node, reinterpret_cast<uint64_t>(s.get())}, opaque(s));
  }

  std::optional<Linear> affine(const Apply& apply) {
    if (apply.op == ScalarOp::Neg) {
      return scaled(linear(apply.args[0]), -1);
    }
    if (apply.op != ScalarOp::Add && apply.op != ScalarOp::Sub && apply.op != ScalarOp::Mul) {
      return std::nullopt;
    }
    Linear a = linear(apply.args[0]);
    Linear b = linear(apply.args[1]);
    if (apply.op != ScalarOp::Mul) {
      return sum(a, apply.op == ScalarOp::Add ? b : scaled(b, -1));
    }
    auto isNumber = [](const Linear& f) { return f.terms.empty() && f.constant.isStatic(); };
    if (isNumber(a)) {
      return scaled(b, a.constant.constant());
    }
    return isNumber(b) ? std::optional(scaled(a, b.constant.constant())) : std::nullopt;
  }

  Interval opaque(const ScalarPtr& s) {
    auto* cast = std::get_if<Cast>(&s->node);
    if (s->dtype == DType::Bool || (cast && cast->value->dtype == DType::Bool)) {
      return {Dim(0), Dim(1)};
    }
    if (auto* access = std::get_if<Access>(&s->node)) {
      const std::optional<Dim>& bound = function_.type(access->var).bound;
      if (!bound) {
        return {};
      }
      Dim fill(access->fill ? static_cast<int64_t>(*access->fill) : 0);
      return {pick(false, Dim(0), fill), pick(true, *bound - Dim(1), fill)};
    }
    if (auto* reduce = std::get_if<Reduce>(&s->node)) {
      return ofReduce(*reduce);
    }
    auto* apply = std::get_if<Apply>(&s->node);
    if (!apply) {
      return {};
    }
    if (apply->op == ScalarOp::Div || apply->op == ScalarOp::Mod) {
      return quotient(*apply);
    }
    if (apply->op == ScalarOp::Min || apply->op == ScalarOp::Max) {
      return extreme(apply->op == ScalarOp::Max, interval(apply->args[0]), interval(apply->args[1]));
    }
    if (apply->op == ScalarOp::Select) {
      Interval a = interval(apply->args[1]);
      Interval b = interval(apply->args[2]);
      return {pick(false, a.lo, b.lo), pick(true, a.hi, b.hi)};
    }
    return {}; // the other operators say nothing about their range
  }

  Interval ofReduce(const Reduce& reduce) {
    switch (reduce.kind) {
    case Reduce::Kind::ArgMax:
    case Reduce::Kind::ArgMin: {
      // One symbolic extent may be scaled by the static ones; two would not be linear.
      Dim points(1);
      for (IndexId index : reduce.indices) {
        Dim extent = function_.extent(index);
        if (extent.isStatic()) {
          points = points * extent.constant();
        } else if (points.isStatic()) {
          points = extent * points.constant();
        } else {
          return {};
        }
      }
      return {Dim(0), points - Dim(1)};
    }
    case Reduce::Kind::Max:
    case Reduce::Kind::Min: return reduce.guard ? Interval{} : interval(reduce.body);
    case Reduce::Kind::Sum:
    case Reduce::Kind::Prod:
    case Reduce::Kind::Mean:
    case Reduce::Kind::Any:
    case Reduce::Kind::All: return {};
    }
    return {};
  }

  Interval quotient(const Apply& apply) {
    Interval a = interval(apply.args[0]);
    Interval b = interval(apply.args[1]);
    std::span<const Symbol> symbols = function_.symbols();
    if (!b.lo || !b.hi || b.lo->min(symbols) <= 0) {
      return {};
    }
    if (apply.op == ScalarOp::Mod) {
      bool same = a.lo && a.hi && provedAtMost(Dim(0), *a.lo, symbols) && provedAtMost(*a.hi, *b.lo - Dim(1), symbols);
      return same ? a : Interval{Dim(0), *b.hi - Dim(1)};
    }
    bool constant = b.lo == b.hi && b.lo->isStatic();
    int64_t divisor = b.lo->min(symbols); // the least one makes quotients extreme
    // floor((d·form + c) / d) = form + floor(c / d); a form that d does not divide is bounded by a number.
    auto divided = [&](const Dim& dim, int64_t worst) {
      Dim out(floorDiv(dim.constant(), divisor));
      for (auto [symbol, factor] : dim.terms()) {
        if (factor % divisor != 0) {
          return Dim(floorDiv(worst, divisor));
        }
        out = out + Dim::symbol(symbol, factor / divisor);
      }
      return out;
    };
    Interval out;
    if (a.lo) {
      out.lo = divided(*a.lo, a.lo->min(symbols));
    }
    if (a.hi) {
      out.hi = divided(*a.hi, a.hi->max(symbols));
    }
    if (!constant) { // a large one makes them 0, or -1
      out = {pick(false, out.lo, Dim(a.lo && provedAtMost(Dim(0), *a.lo, symbols) ? 0 : -1)),
             pick(true, out.hi, Dim(0))};
    }
    return out;
  }

  /// max(a, b) is at least what either is at least; likewise min.
  Interval extreme(bool largest, const Interval& a, const Interval& b) {
    auto either = [&](const std::optional<Dim>& x, const std::optional<Dim>& y) {
      std::optional<Dim> both = pick(largest, x, y);
      return both ? both : x ? x : y;
    };
    return largest ? Interval{either(a.lo, b.lo), pick(true, a.hi, b.hi)}
                   : Interval{pick(false, a.lo, b.lo), either(a.hi, b.hi)};
  }

  std::optional<Dim> pick(bool largest, const std::optional<Dim>& a, const std::optional<Dim>& b) {
    if (!a || !b) {
      return std::nullopt;
    }
    if (provedAtMost(*a, *b, function_.symbols())) {
      return largest ? b : a;
    }
    if (provedAtMost(*b, *a, function_.symbols())) {
      return largest ? a : b;
    }
    return std::nullopt;
  }
};

} // namespace

Interval intervalOf(const ScalarPtr& value, const FunctionBuilder& function) {
  return Bounds(function).interval(value);
}

bool provedAtMost(const Dim& a, const Dim& b, std::span<const Symbol> symbols) { return (b - a).min(symbols) >= 0; }

} // namespace dnn::sema
