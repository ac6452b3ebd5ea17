#include "compiler/graph/affine.h"

#include "compiler/support/assert.h"

#include <algorithm>

namespace dnn::graph {

namespace {

constexpr int64_t factorLimit = int64_t(1) << 31;

bool withinLimit(int64_t factor) { return factor <= factorLimit && factor >= -factorLimit; }

bool withinLimit(const Dim& dim) {
  return withinLimit(dim.constant()) &&
         std::ranges::all_of(dim.terms(), [](const auto& term) { return withinLimit(term.second); });
}

/// into += factor · form; false if a factor leaves the limit. Factors on entry are within it, so products fit 63 bits.
bool addScaled(LinearForm& into, const LinearForm& form, int64_t factor) {
  Dim scaled = form.constant * factor;
  if (!withinLimit(scaled)) {
    return false;
  }
  into.constant = into.constant + scaled;
  if (!withinLimit(into.constant)) {
    return false;
  }
  for (const LinearTerm& term : form.terms) {
    int64_t product = term.factor * factor;
    auto found = std::ranges::find(into.terms, term.atom, &LinearTerm::atom);
    if (found == into.terms.end()) {
      into.terms.push_back({term.atom, 0});
      found = into.terms.end() - 1;
    }
    found->factor += product;
    if (!withinLimit(product) || !withinLimit(found->factor)) {
      return false;
    }
  }
  std::erase_if(into.terms, [](const LinearTerm& term) { return term.factor == 0; });
  return true;
}

class FormBuilder {
public:
  std::optional<LinearForm> build(ExprRef root) {
    forEachNode(root, [&](ExprRef e) {
      // Only what a form looks into: + - · of integers. Arguments were visited before.
      known_.emplace(e, isInteger(e->dtype) ? make(e) : std::nullopt);
    });
    return known_.at(root);
  }

private:
  std::optional<LinearForm> make(ExprRef e) {
    LinearForm form;
    if (e->kind == ExprKind::Const) {
      form.constant = Dim(e->integer);
      return withinLimit(e->integer) ? std::optional(form) : std::nullopt;
    }
    if (e->kind == ExprKind::Extent) {
      form.constant = e->extent;
      return withinLimit(form.constant) ? std::optional(form) : std::nullopt;
    }
    if (e->kind == ExprKind::Apply) {
      switch (linearity(e->op)) {
      case Linearity::Sum: return combine(e->args[0], 1, e->args[1], 1);
      case Linearity::Difference: return combine(e->args[0], 1, e->args[1], -1);
      case Linearity::Negation: return combine(e->args[0], -1, nullptr, 0);
      case Linearity::Product:
        if (auto factor = constantOf(e->args[1])) {
          return combine(e->args[0], *factor, nullptr, 0);
        }
        if (auto factor = constantOf(e->args[0])) {
          return combine(e->args[1], *factor, nullptr, 0);
        }
        break;
      case Linearity::None: break;
      }
    }
    form.terms.push_back({e, 1});
    return form;
  }

  enum class Linearity : uint8_t { Sum, Difference, Negation, Product, None };
  static Linearity linearity(ScalarOp op) {
    return op == ScalarOp::Add   ? Linearity::Sum
           : op == ScalarOp::Sub ? Linearity::Difference
           : op == ScalarOp::Neg ? Linearity::Negation
           : op == ScalarOp::Mul ? Linearity::Product
                                 : Linearity::None;
  }

  std::optional<int64_t> constantOf(ExprRef e) const {
    const auto& form = known_.at(e);
    bool constant = form && form->isUniform() && form->constant.isStatic();
    return constant ? std::optional(form->constant.constant()) : std::nullopt;
  }

  std::optional<LinearForm> combine(ExprRef a, int64_t factorA, ExprRef b, int64_t factorB) const {
    LinearForm form;
    for (auto [e, factor] : {std::pair(a, factorA), std::pair(b, factorB)}) {
      if (e == nullptr) {
        continue;
      }
      const auto& part = known_.at(e);
      if (!part || !addScaled(form, *part, factor)) {
        return std::nullopt;
      }
    }
    return joinRemainders(std::move(form));
  }

  /// f·c·(x/c) + f·(x%c) = f·x.
  std::optional<LinearForm> joinRemainders(LinearForm form) const {
    for (size_t i = 0; i < form.terms.size(); ++i) {
      LinearTerm mod = form.terms[i];
      if (!isModByConstant(mod.atom)) {
        continue;
      }
      int64_t divisor = divisorOf(mod.atom);
      for (size_t j = 0; j < form.terms.size(); ++j) {
        LinearTerm div = form.terms[j];
        bool pair = isDivByConstant(div.atom) && divisorOf(div.atom) == divisor && withinLimit(divisor) &&
                    div.atom->args[0] == mod.atom->args[0] && div.factor == mod.factor * divisor;
        const auto& whole = known_.at(mod.atom->args[0]);
        if (pair && whole) {
          LinearForm joined = form;
          std::erase_if(joined.terms, [&](const LinearTerm& t) { return t.atom == mod.atom || t.atom == div.atom; });
          return addScaled(joined, *whole, mod.factor) ? joinRemainders(std::move(joined)) : std::nullopt;
        }
      }
    }
    return form;
  }

  std::unordered_map<ExprRef, std::optional<LinearForm>> known_;
};

bool isByConstant(ExprRef e, ScalarOp op) {
  return e->kind == ExprKind::Apply && e->op == op && isInteger(e->dtype) && e->args[1]->kind == ExprKind::Const &&
         e->args[1]->integer > 0;
}

} // namespace

bool LinearForm::isAffine() const {
  return std::ranges::all_of(terms, [](const LinearTerm& term) { return term.atom->kind == ExprKind::Index; });
}

int64_t LinearForm::factorOf(uint32_t index) const {
  for (const LinearTerm& term : terms) {
    if (term.atom->kind == ExprKind::Index && term.atom->index == index) {
      return term.factor;
    }
  }
  return 0;
}

bool isDivByConstant(ExprRef e) { return isByConstant(e, ScalarOp::Div); }
bool isModByConstant(ExprRef e) { return isByConstant(e, ScalarOp::Mod); }
int64_t divisorOf(ExprRef e) { return e->args[1]->integer; }

std::optional<LinearForm> linearForm(ExprRef e) {
  DNN_ASSERT(isInteger(e->dtype), "a linear form is of an integer expression");
  return FormBuilder().build(e);
}

ExprRef toExpr(ExprPool& pool, const LinearForm& form) {
  ExprRef sum = nullptr;
  auto add = [&](ExprRef e, int64_t factor) {
    int64_t magnitude = factor < 0 ? -factor : factor;
    bool subtract = factor < 0 && sum != nullptr;
    int64_t shown = subtract ? magnitude : factor;
    ExprRef term = shown == 1 ? e : pool.apply(ScalarOp::Mul, {pool.integer(shown), e});
    sum = sum == nullptr ? term : pool.apply(subtract ? ScalarOp::Sub : ScalarOp::Add, {sum, term});
  };
  for (const LinearTerm& term : form.terms) {
    add(term.atom, term.factor);
  }
  if (!form.constant.isStatic()) {
    add(pool.extent(form.constant), 1);
  } else if (int64_t constant = form.constant.constant(); constant != 0 || sum == nullptr) {
    bool subtract = constant < 0 && sum != nullptr;
    ExprRef term = pool.integer(subtract ? -constant : constant);
    sum = sum == nullptr ? term : pool.apply(subtract ? ScalarOp::Sub : ScalarOp::Add, {sum, term});
  }
  return sum;
}

bool dependsOnIndex(ExprRef e, uint32_t index) {
  bool found = false;
  forEachNode(e, [&](ExprRef node) { found |= node->kind == ExprKind::Index && node->index == index; });
  return found;
}

} // namespace dnn::graph
