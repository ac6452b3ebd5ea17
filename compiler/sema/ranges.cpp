// A subscript such as `2*i + u - 1` is bounded term by term: each index takes its first or its last value, whichever makes
// the sum extreme. That is exact for affine forms, because an index occurs in one term only after like terms are joined.
// Anything that is not affine becomes a term of its own with an interval.
#include "compiler/sema/ranges.h"

#include <algorithm>
#include <map>

namespace dnn::sema {

namespace {

int64_t floorDiv(int64_t a, int64_t b) { return a / b - ((a % b != 0) && ((a < 0) != (b < 0))); }

/// Terms are told apart by index, or by node for what is not affine.
using TermKey = std::pair<bool, uint64_t>;
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
    out.lo = out.lo + (term.factor > 0 ? term.range.lo : term.range.hi) * term.factor;
    out.hi = out.hi + (term.factor > 0 ? term.range.hi : term.range.lo) * term.factor;
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

  std::optional<Interval> interval(const ScalarPtr& s) {
    std::optional<Linear> form = linear(s);
    return form ? std::optional(boundsOf(*form)) : std::nullopt;
  }

private:
  const FunctionBuilder& function_;

  static Linear single(TermKey key, Interval range) {
    Linear form;
    form.terms[key] = {1, std::move(range)};
    return form;
  }

  std::optional<Linear> linear(const ScalarPtr& s) {
    if (auto* integer = std::get_if<Integer>(&s->node)) {
      return Linear{Dim(integer->value), {}};
    }
    if (auto* index = std::get_if<IndexRef>(&s->node)) {
      return single({false, index->index}, {Dim(0), function_.extent(index->index) - Dim(1)});
    }
    if (auto* extent = std::get_if<ExtentRef>(&s->node)) {
      return Linear{extent->extent, {}};
    }
    if (auto* cast = std::get_if<Cast>(&s->node)) {
      return isInteger(s->dtype) && isInteger(cast->value->dtype) ? linear(cast->value) : std::nullopt;
    }
    if (auto* apply = std::get_if<Apply>(&s->node)) {
      if (std::optional<Linear> form = affine(*apply)) {
        return form;
      }
    }
    if (std::optional<Interval> range = opaque(s)) {
      return single({true, reinterpret_cast<uint64_t>(s.get())}, *range);
    }
    return std::nullopt;
  }

  std::optional<Linear> affine(const Apply& apply) {
    if (apply.op == ScalarOp::Neg) {
      std::optional<Linear> a = linear(apply.args[0]);
      return a ? std::optional(scaled(*a, -1)) : std::nullopt;
    }
    if (apply.op != ScalarOp::Add && apply.op != ScalarOp::Sub && apply.op != ScalarOp::Mul) {
      return std::nullopt;
    }
    std::optional<Linear> a = linear(apply.args[0]);
    std::optional<Linear> b = linear(apply.args[1]);
    if (!a || !b) {
      return std::nullopt;
    }
    if (apply.op != ScalarOp::Mul) {
      return sum(*a, apply.op == ScalarOp::Add ? *b : scaled(*b, -1));
    }
    auto isNumber = [](const Linear& f) { return f.terms.empty() && f.constant.isStatic(); };
    if (isNumber(*a)) {
      return scaled(*b, a->constant.constant());
    }
    return isNumber(*b) ? std::optional(scaled(*a, b->constant.constant())) : std::nullopt;
  }

  std::optional<Interval> opaque(const ScalarPtr& s) {
    if (auto* access = std::get_if<Access>(&s->node)) {
      const std::optional<Dim>& bound = function_.type(access->var).bound;
      if (!bound || (access->fill && *access->fill != 0)) {
        return std::nullopt;
      }
      return Interval{Dim(0), *bound - Dim(1)};
    }
    if (auto* reduce = std::get_if<Reduce>(&s->node)) {
      return ofReduce(*reduce);
    }
    auto* apply = std::get_if<Apply>(&s->node);
    if (!apply) {
      return std::nullopt;
    }
    switch (apply->op) {
    case ScalarOp::Div:
    case ScalarOp::Mod: return quotient(*apply);
    case ScalarOp::Min:
    case ScalarOp::Max: return extreme(apply->op == ScalarOp::Max, apply->args[0], apply->args[1]);
    case ScalarOp::Select: return unite(interval(apply->args[1]), interval(apply->args[2]));
    default: return std::nullopt; // the other operators say nothing about their range
    }
  }

  std::optional<Interval> ofReduce(const Reduce& reduce) {
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
          return std::nullopt;
        }
      }
      return Interval{Dim(0), points - Dim(1)};
    }
    case Reduce::Kind::Max:
    case Reduce::Kind::Min: return reduce.guard ? std::nullopt : interval(reduce.body);
    case Reduce::Kind::Sum:
    case Reduce::Kind::Prod:
    case Reduce::Kind::Mean:
    case Reduce::Kind::Any:
    case Reduce::Kind::All: return std::nullopt;
    }
    return std::nullopt;
  }

  std::optional<Interval> quotient(const Apply& apply) {
    std::optional<Interval> a = interval(apply.args[0]);
    std::optional<Interval> b = interval(apply.args[1]);
    if (!b || !b->lo.isStatic() || b->lo != b->hi || b->lo.constant() <= 0) {
      return std::nullopt;
    }
    int64_t divisor = b->lo.constant();
    std::span<const Symbol> symbols = function_.symbols();
    if (apply.op == ScalarOp::Mod) {
      if (a && provedAtMost(Dim(0), a->lo, symbols) && provedAtMost(a->hi, Dim(divisor - 1), symbols)) {
        return a;
      }
      return Interval{Dim(0), Dim(divisor - 1)};
    }
    if (!a) {
      return std::nullopt;
    }
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
    return Interval{divided(a->lo, a->lo.min(symbols)), divided(a->hi, a->hi.max(symbols))};
  }

  std::optional<Interval> extreme(bool largest, const ScalarPtr& left, const ScalarPtr& right) {
    std::optional<Interval> a = interval(left);
    std::optional<Interval> b = interval(right);
    if (!a || !b) {
      return std::nullopt;
    }
    std::optional<Dim> lo = pick(largest, a->lo, b->lo);
    std::optional<Dim> hi = pick(largest, a->hi, b->hi);
    return lo && hi ? std::optional(Interval{*lo, *hi}) : std::nullopt;
  }

  std::optional<Interval> unite(const std::optional<Interval>& a, const std::optional<Interval>& b) {
    if (!a || !b) {
      return std::nullopt;
    }
    std::optional<Dim> lo = pick(false, a->lo, b->lo);
    std::optional<Dim> hi = pick(true, a->hi, b->hi);
    return lo && hi ? std::optional(Interval{*lo, *hi}) : std::nullopt;
  }

  std::optional<Dim> pick(bool largest, const Dim& a, const Dim& b) {
    if (provedAtMost(a, b, function_.symbols())) {
      return largest ? b : a;
    }
    if (provedAtMost(b, a, function_.symbols())) {
      return largest ? a : b;
    }
    return std::nullopt;
  }
};

} // namespace

std::optional<Interval> intervalOf(const ScalarPtr& value, const FunctionBuilder& function) {
  return Bounds(function).interval(value);
}

bool provedAtMost(const Dim& a, const Dim& b, std::span<const Symbol> symbols) { return (b - a).min(symbols) >= 0; }

} // namespace dnn::sema
