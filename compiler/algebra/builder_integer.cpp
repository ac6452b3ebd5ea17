// Integers: sums are linear forms in normal order; quotients and remainders of constants fold.
#include "compiler/algebra/builder.h"

#include "compiler/graph/affine.h"

#include <algorithm>

namespace dnn::algebra {

using graph::ExprKind;

namespace {

int64_t floorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

/// Extents (-1 … 2³¹) and constants in i32 do not wrap in the rewritings below; other types are left alone.
bool isSubscriptType(DType type) { return type == DType::I32; }

} // namespace

/// The sum as one would write it: `i - u + 1`, `3 - j`.
ExprRef Builder::readable(graph::LinearForm form) const {
  std::ranges::stable_partition(form.terms, [](const graph::LinearTerm& term) { return term.factor > 0; });
  bool constantFirst = !form.terms.empty() && form.terms[0].factor < 0 && !(form.constant == Dim(0));
  if (!constantFirst) {
    return graph::toExpr(pool_, form);
  }
  ExprRef sum = graph::toExpr(pool_, {form.constant, {}});
  for (const graph::LinearTerm& term : form.terms) {
    ExprRef product = term.factor == -1 ? term.atom : apply(ScalarOp::Mul, {pool_.integer(-term.factor), term.atom});
    sum = apply(ScalarOp::Sub, {sum, product});
  }
  return sum;
}

ExprRef Builder::makeInteger(ScalarOp op, const std::vector<ExprRef>& args) const {
  if (!isSubscriptType(args[0]->dtype)) {
    return apply(op, args);
  }
  ExprRef plain = apply(op, args);
  if (op == ScalarOp::Add || op == ScalarOp::Sub || op == ScalarOp::Mul || op == ScalarOp::Neg) {
    std::optional<graph::LinearForm> form = graph::linearForm(plain);
    bool itself = form && form->terms.size() == 1 && form->terms[0].atom == plain;
    if (!form || itself) {
      return plain;
    }
    return readable(std::move(*form));
  }
  if ((op == ScalarOp::Div || op == ScalarOp::Mod) && args[1]->kind == ExprKind::Const && args[1]->integer > 0) {
    bool isDiv = op == ScalarOp::Div;
    int64_t divisor = args[1]->integer;
    if (args[0]->kind == ExprKind::Const) {
      int64_t quotient = floorDiv(args[0]->integer, divisor);
      return pool_.integer(isDiv ? quotient : args[0]->integer - quotient * divisor);
    }
    if (divisor == 1) {
      return isDiv ? args[0] : pool_.integer(0);
    }
    if (isDiv && graph::isDivByConstant(args[0]) && divisor < (int64_t(1) << 31) / graph::divisorOf(args[0])) {
      return makeInteger(op, {args[0]->args[0], pool_.integer(divisor * graph::divisorOf(args[0]))});
    }
    // (c·x + y) / c = x + y / c and (c·x + y) % c = y % c, for whole multiples x.
    std::optional<graph::LinearForm> form = graph::linearForm(args[0]);
    if (form) {
      // (x - x % c) / c = x / c
      for (const graph::LinearTerm& term : form->terms) {
        if (isDiv && term.factor == -1 && graph::isModByConstant(term.atom) && graph::divisorOf(term.atom) == divisor) {
          graph::LinearForm rest = *form;
          std::erase_if(rest.terms, [&](const graph::LinearTerm& t) { return t.atom == term.atom; });
          if (graph::linearForm(term.atom->args[0]) == rest) {
            return makeInteger(op, {term.atom->args[0], args[1]});
          }
        }
      }
      graph::LinearForm multiple;
      graph::LinearForm rest;
      for (const graph::LinearTerm& term : form->terms) {
        if (term.factor % divisor == 0) {
          multiple.terms.push_back({term.atom, term.factor / divisor});
        } else {
          rest.terms.push_back(term);
        }
      }
      if (form->constant.isStatic()) {
        int64_t whole = floorDiv(form->constant.constant(), divisor);
        multiple.constant = Dim(whole);
        rest.constant = form->constant - Dim(whole * divisor);
      } else {
        rest.constant = form->constant;
      }
      bool moved = !multiple.terms.empty() || !(multiple.constant == Dim(0));
      if (moved) {
        ExprRef remaining = readable(rest);
        if (!isDiv) {
          return makeInteger(op, {remaining, args[1]});
        }
        ExprRef whole = readable(multiple);
        return rest.isUniform() && rest.constant.isStatic() ? whole : add(whole, makeInteger(op, {remaining, args[1]}));
      }
    }
  }
  return plain;
}

} // namespace dnn::algebra
