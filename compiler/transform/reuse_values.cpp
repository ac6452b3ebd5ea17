// Reads what another op has already computed instead of computing it again.
//
//   %y = comp [n:N] : f32 { div(1.0, add(1.0, exp(neg(%s[n])))) }
//   %g = comp [n:N] : f32 { sub(div(1.0, add(1.0, exp(neg(%s[n])))), %r[n]) }      →      … { sub(%y[n], %r[n]) }
//
// Also parts of products: with %p[n, k] = %e[n, k] / %z[n] known, mul(%e[n, k], div(%d[n, k], %z[n])) is %d·%p. Only
// where the reader gets cheaper. The values are those of comps without a reduction that stand before the reader; a
// scan's body knows those outside too.
#include "compiler/algebra/cost.h"
#include "compiler/algebra/match.h"
#include "compiler/algebra/reindex.h"
#include "compiler/algebra/sum.h"
#include "compiler/graph/affine.h"
#include "compiler/transform/pass_manager.h"
#include "compiler/transform/read_through.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace dnn::transform {

namespace {

using algebra::Binding;
using algebra::Builder;
using algebra::Power;
using algebra::Sum;
using algebra::SumAlgebra;
using algebra::Term;
using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::OpKind;
using graph::Value;

/// A value that is at hand, and its body as one product if it is one.
struct Known {
  const Op* op = nullptr;
  std::optional<Term> product;
};

class Reader {
public:
  Reader(graph::Function& function, const Builder& b, Op& op, std::vector<const Known*> known)
      : b_(b), op_(op), known_(std::move(known)), operands_(op.operands), ranges_(op, function.symbols) {}

  bool run() {
    ExprRef body = visit(op_.body);
    if (body == op_.body) {
      return false;
    }
    op_.body = body;
    op_.operands = operands_;
    graph::normalizeOperands(b_.pool(), op_);
    return true;
  }

private:
  /// The read of a known value whose indices are bound; nullptr if they are not all, or leave its extents.
  ExprRef readOf(const Known& known, const Binding& binding) {
    for (size_t d = 0; d < binding.size(); ++d) {
      if (binding[d] == nullptr || !ranges_.alwaysInRange(binding[d], known.op->dims[d].extent)) {
        return nullptr;
      }
    }
    Value* value = known.op->results[0];
    return b_.pool().access(algebra::operandPosition(operands_, value), value->type.dtype, binding);
  }

  ExprRef visit(ExprRef e) {
    if (auto found = visited_.find(e); found != visited_.end()) {
      return found->second;
    }
    ExprRef result = visitNew(e);
    visited_[e] = result;
    return result;
  }

  ExprRef visitNew(ExprRef e) {
    if (e->kind != ExprKind::Apply && e->kind != ExprKind::Cast) {
      return e;
    }
    for (const Known* known : known_) {
      Binding binding(known->op->dims.size(), nullptr);
      if (algebra::match(known->op->body, known->op->operands, e, operands_, binding)) {
        if (ExprRef read = readOf(*known, binding)) {
          return read;
        }
      }
    }
    if (ExprRef product = visitProducts(e)) {
      return product;
    }
    std::vector<ExprRef> args;
    for (ExprRef arg : e->args) {
      args.push_back(visit(arg));
    }
    return args == e->args ? e : algebra::withArgs(b_, e, args);
  }

  /// Rewrites products inside sums; nullptr if nothing gets cheaper.
  ExprRef visitProducts(ExprRef e) {
    if (!algebra::isRational(e) || e->kind == ExprKind::Const) {
      return nullptr;
    }
    bool any = std::ranges::any_of(known_, [](const Known* known) { return known->product.has_value(); });
    if (!any) {
      return nullptr;
    }
    SumAlgebra algebra(b_, [](ExprRef atom) { return atom; });
    std::optional<Sum> sum = algebra.read(e);
    std::optional<Sum> quotients = sum ? algebra.multiplyOut(*sum, false) : std::nullopt;
    ExprRef best = nullptr;
    int bestCost = algebra::cost(e);
    for (const auto& form : {sum, quotients}) {
      if (!form) {
        continue;
      }
      Sum current = *form;
      for (const Known* known : known_) {
        if (known->product) {
          current = algebra.rewriteTerms(current, [&](const Term& term) { return rewriteTerm(*known, term); });
        }
      }
      ExprRef emitted = algebra.emit(current, e->dtype);
      if (int cost = algebra::cost(emitted); cost < bestCost) {
        best = emitted;
        bestCost = cost;
      }
    }
    return best;
  }

  /// The term with the known product taken out of it and a read in its place.
  std::optional<Term> rewriteTerm(const Known& known, const Term& term) {
    Binding binding(known.op->dims.size(), nullptr);
    Term rest = term;
    if (!matchPowers(known, 0, rest, binding)) {
      return std::nullopt;
    }
    ExprRef read = readOf(known, binding);
    if (read == nullptr) {
      return std::nullopt;
    }
    rest.factor /= known.product->factor;
    rest.powers.push_back({read, 1});
    return rest;
  }

  bool matchPowers(const Known& known, size_t next, Term& rest, Binding& binding) {
    if (next == known.product->powers.size()) {
      return true;
    }
    const Power& wanted = known.product->powers[next];
    for (size_t i = 0; i < rest.powers.size(); ++i) {
      int have = rest.powers[i].exponent;
      bool enough = wanted.exponent > 0 ? have >= wanted.exponent : have <= wanted.exponent;
      Binding before = binding;
      if (!enough || !algebra::match(wanted.base, known.op->operands, rest.powers[i].base, operands_, binding)) {
        continue;
      }
      Term smaller = rest;
      smaller.powers[i].exponent -= wanted.exponent;
      if (smaller.powers[i].exponent == 0) {
        smaller.powers.erase(smaller.powers.begin() + static_cast<std::ptrdiff_t>(i));
      }
      if (matchPowers(known, next + 1, smaller, binding)) {
        rest = std::move(smaller);
        return true;
      }
      binding = before;
    }
    return false;
  }

  const Builder& b_;
  Op& op_;
  std::vector<const Known*> known_;
  std::vector<Value*> operands_; // op's, then values read instead
  graph::RangeAnalysis ranges_;
  std::unordered_map<ExprRef, ExprRef> visited_;
};

class ValueReuser {
public:
  explicit ValueReuser(graph::Function& function) : function_(function), b_(function.module.exprs), uses_(function) {}

  Changed run() { return run(function_.body); }

private:
  Changed run(graph::Block& block) {
    Changed changed = Changed::No;
    for (Op* op : block.ops) {
      if (op->kind == OpKind::Scan) {
        size_t outside = known_.size();
        changed = changed | run(*op->body_block);
        forget(outside);
      }
      if (op->body == nullptr) {
        continue;
      }
      std::vector<const Known*> candidates = candidatesFor(*op);
      if (!candidates.empty() && Reader(function_, b_, *op, candidates).run()) {
        changed = Changed::Yes;
      }
      remember(*op);
    }
    return changed;
  }

  /// All but the first `count` values, which are not seen any more.
  void forget(size_t count) {
    known_.resize(count);
    for (auto& [operand, positions] : byOperand_) {
      std::erase_if(positions, [&](size_t k) { return k >= count; });
    }
  }

  /// Known values that are computed from operands of the op alone: other ones cannot be part of its body.
  std::vector<const Known*> candidatesFor(const Op& op) const {
    std::unordered_set<const Value*> operands(op.operands.begin(), op.operands.end());
    std::vector<const Known*> candidates;
    for (const Value* operand : op.operands) {
      auto found = byOperand_.find(operand);
      if (found == byOperand_.end()) {
        continue;
      }
      for (size_t k : found->second) {
        const Known& known = known_[k];
        bool all = std::ranges::all_of(known.op->operands, [&](const Value* v) { return operands.contains(v); });
        if (all && std::ranges::find(candidates, &known) == candidates.end()) {
          candidates.push_back(&known);
        }
      }
    }
    return candidates;
  }

  void remember(const Op& op) {
    constexpr int cheaperThanARead = 4;
    // A value without users is about to be removed; a cheap one is no better than a read.
    bool worthIt = isElementwise(op) && !uses_.unused(op.results[0]) && isFloat(op.body->dtype) &&
                   !op.operands.empty() && algebra::cost(op.body) > cheaperThanARead + 2;
    if (!worthIt) {
      return;
    }
    Known known{&op, std::nullopt};
    SumAlgebra algebra(b_, [](ExprRef atom) { return atom; });
    std::optional<Sum> sum = algebra.read(op.body);
    if (sum && sum->size() == 1 && sum->front().guards.empty() && sum->front().powers.size() >= 2) {
      known.product = sum->front();
    }
    known_.push_back(known);
    byOperand_[op.operands[0]].push_back(known_.size() - 1);
  }

  graph::Function& function_;
  Builder b_;
  graph::Uses uses_;
  std::vector<Known> known_;
  std::unordered_map<const Value*, std::vector<size_t>> byOperand_;
};

} // namespace

Result<Changed> reuseValues(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    changed = changed | ValueReuser(*function).run();
  }
  return changed;
}

} // namespace dnn::transform
