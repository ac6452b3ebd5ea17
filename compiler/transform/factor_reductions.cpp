// Sums: factors that do not depend on the reduced indices stand in front of the sum, and sums that are known are not
// summed again.
//
//   Σ_k c[n]·x[n, k]              →   c[n] · Σ_k x[n, k]
//   Σ_k -e[n, k] / z[n]           →   -z[n] / z[n] = -1          where z[n] = Σ_k e[n, k] is at hand
//   Σ_k (p[n, k] - (k == t[n]))   →   1 - 1 = 0                  with p[n, k] = e[n, k] / z[n]
//
// The last two need every term of the sum to be known; else only a factor common to all terms is moved.
#include "compiler/algebra/match.h"
#include "compiler/algebra/reindex.h"
#include "compiler/algebra/sum.h"
#include "compiler/graph/affine.h"
#include "compiler/transform/pass_manager.h"
#include "compiler/transform/read_through.h"

#include <algorithm>
#include <unordered_map>

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

/// Sums that stand before an op, found by what they read: there are as many sums as layers.
class KnownSums {
public:
  void add(const Op* sum) {
    const Value* key = sum->operands.empty() ? nullptr : sum->operands[0];
    byOperand_[key].push_back({count_++, sum});
  }

  /// Those that read nothing but `operands`, the first one first.
  std::vector<const Op*> of(const std::vector<Value*>& operands) const {
    std::vector<std::pair<size_t, const Op*>> found;
    auto look = [&](const Value* key) {
      auto at = byOperand_.find(key);
      if (at == byOperand_.end()) {
        return;
      }
      std::ranges::copy_if(at->second, std::back_inserter(found), [&](const auto& sum) {
        return std::ranges::all_of(sum.second->operands,
                                   [&](Value* v) { return std::ranges::find(operands, v) != operands.end(); });
      });
    };
    look(nullptr);
    std::ranges::for_each(operands, look);
    std::ranges::sort(found);
    std::vector<const Op*> sums(found.size());
    std::ranges::transform(found, sums.begin(), [](const auto& sum) { return sum.second; });
    return sums;
  }

private:
  size_t count_ = 0;
  std::unordered_map<const Value*, std::vector<std::pair<size_t, const Op*>>> byOperand_; // the first one
};

class SumOp {
public:
  SumOp(graph::Function& function, const Builder& b, Op& op, const KnownSums& sums)
      : function_(function), b_(b), op_(op), sums_(sums), operands_(op.operands),
        algebra_(b, [](ExprRef atom) { return atom; }) {}

  /// The op that computes the sum without the common factor, to stand before it; nullptr if the op is done or as it
  /// was.
  Op* run(bool& changed) {
    std::optional<Sum> sum = algebra_.read(op_.body);
    if (!sum || sum->empty()) {
      return nullptr;
    }
    for (int depth = 0; depth <= maxExpansions && sum; ++depth) {
      if (ExprRef closed = closedForm(*sum)) {
        op_.body = closed;
        op_.reduced.clear();
        op_.reduction = Reduction::None;
        op_.operands = operands_;
        graph::normalizeOperands(b_.pool(), op_);
        changed = true;
        return nullptr;
      }
      sum = expandDefinitions(*sum);
    }
    operands_ = op_.operands;
    return moveCommonFactor(changed);
  }

private:
  static constexpr int maxExpansions = 2;

  bool varies(ExprRef e) const {
    bool found = false;
    graph::forEachNode(e,
                       [&](ExprRef node) { found |= node->kind == ExprKind::Index && node->index >= op_.dims.size(); });
    return found;
  }

  /// Σ over the reduced indices, term by term; nullptr if some term is not known.
  ExprRef closedForm(const Sum& sum) {
    ExprRef total = nullptr;
    for (const Term& term : sum) {
      ExprRef part = closedForm(term);
      if (part == nullptr) {
        return nullptr;
      }
      total = total == nullptr ? part : b_.add(total, part);
    }
    return total;
  }

  ExprRef closedForm(const Term& term) {
    Term outside{term.factor, {}, {}};
    Term inside{1, {}, {}};
    for (const Power& power : term.powers) {
      (varies(power.base) ? inside : outside).powers.push_back(power);
    }
    for (ExprRef guard : term.guards) {
      (varies(guard) ? inside : outside).guards.push_back(guard);
    }
    ExprRef sum = sumOf(inside);
    return sum == nullptr ? nullptr : b_.mul(algebra_.emit({outside}, op_.body->dtype), sum);
  }

  /// The value of Σ term, if it is known.
  ExprRef sumOf(const Term& term) {
    DType dtype = op_.body->dtype;
    if (term.powers.empty() && term.guards.empty()) {
      ExprRef count = b_.one(dtype);
      for (const graph::IndexVar& var : op_.reduced) {
        count = b_.mul(count, b_.cast(dtype, graph::toExpr(b_.pool(), {var.extent, {}})));
      }
      return count;
    }
    if (ExprRef point = onePoint(term)) {
      return point;
    }
    ExprRef body = algebra_.emit({term}, dtype);
    for (const Op* known : sums_.of(operands_)) {
      if (known->reduced.size() != op_.reduced.size() || known->body->dtype != dtype) {
        continue;
      }
      Binding binding(known->dims.size() + known->reduced.size(), nullptr);
      if (algebra::match(known->body, known->operands, body, operands_, binding) && isThisSum(*known, binding)) {
        Value* value = known->results[0];
        binding.resize(known->dims.size());
        return b_.pool().access(algebra::operandPosition(operands_, value), dtype, binding);
      }
    }
    return nullptr;
  }

  /// The known sum runs over the same points, one for one, and is read inside its extents.
  bool isThisSum(const Op& known, const Binding& binding) const {
    graph::RangeAnalysis ranges(op_, function_.symbols);
    std::vector<bool> taken(op_.reduced.size(), false);
    for (size_t i = 0; i < binding.size(); ++i) {
      ExprRef bound = binding[i];
      if (bound == nullptr) {
        return false;
      }
      if (i < known.dims.size()) {
        if (varies(bound) || !ranges.alwaysInRange(bound, known.dims[i].extent)) {
          return false;
        }
        continue;
      }
      if (bound->kind != ExprKind::Index || bound->index < op_.dims.size()) {
        return false;
      }
      size_t r = bound->index - op_.dims.size();
      if (taken[r] || !(op_.reduced[r].extent == known.reduced[i - known.dims.size()].extent)) {
        return false;
      }
      taken[r] = true;
    }
    return true;
  }

  /// Σ_k [k == e]·f(k) = f(e), for one reduced index and e always one of its values.
  ExprRef onePoint(const Term& term) {
    if (op_.reduced.size() != 1) {
      return nullptr;
    }
    ExprRef index = b_.pool().index(static_cast<uint32_t>(op_.dims.size()));
    graph::RangeAnalysis ranges(op_, function_.symbols);
    for (size_t g = 0; g < term.guards.size(); ++g) {
      ExprRef guard = term.guards[g];
      if (!algebra::isApply(guard, ScalarOp::Eq) || guard->args[0]->dtype != DType::I32) {
        continue;
      }
      ExprRef point = guard->args[0] == index ? guard->args[1] : guard->args[0];
      bool picks = (guard->args[0] == index || guard->args[1] == index) && !varies(point) &&
                   ranges.alwaysInRange(point, op_.reduced[0].extent);
      if (!picks) {
        continue;
      }
      Term rest = term;
      rest.guards.erase(rest.guards.begin() + static_cast<std::ptrdiff_t>(g));
      ExprRef body = algebra_.emit({rest}, op_.body->dtype);
      std::vector<ExprRef> replacement = algebra::indexRange(b_.pool(), 0, op_.dims.size());
      replacement.push_back(point);
      return algebra::substituteIndices(b_, body, replacement);
    }
    return nullptr;
  }

  /// Reads of products replaced by the products; none if there is no such read.
  std::optional<Sum> expandDefinitions(const Sum& sum) {
    bool expanded = false;
    auto define = [&](const Term& term) -> std::optional<Term> {
      Term result{term.factor, {}, term.guards};
      for (const Power& power : term.powers) {
        std::optional<Term> product = definitionOf(power.base);
        if (!product) {
          result.powers.push_back(power);
          continue;
        }
        expanded = true;
        double factor = product->factor;
        for (int i = 0; i < std::abs(power.exponent); ++i) {
          result.factor = power.exponent > 0 ? result.factor * factor : result.factor / factor;
        }
        for (Power part : product->powers) {
          part.exponent *= power.exponent;
          result.powers.push_back(part);
        }
      }
      return result;
    };
    Sum result = algebra_.rewriteTerms(sum, define);
    return expanded ? std::optional(result) : std::nullopt;
  }

  std::optional<Term> definitionOf(ExprRef base) {
    if (base->kind != ExprKind::Access || base->fill) {
      return std::nullopt;
    }
    const Op& def = *operands_[base->operand]->def;
    if (!isElementwise(def) || !algebra::isRational(def.body) || !isFloat(def.body->dtype)) {
      return std::nullopt;
    }
    ExprRef body = algebra::moveOperands(b_, def.body, def.operands, operands_);
    body = algebra::substituteIndices(b_, body, base->args);
    std::optional<Sum> sum = algebra_.read(body);
    bool product = sum && sum->size() == 1 && sum->front().guards.empty() && sum->front().powers.size() >= 2;
    return product ? std::optional(sum->front()) : std::nullopt;
  }

  Op* moveCommonFactor(bool& changed) {
    std::optional<Sum> sum = algebra_.read(op_.body);
    if (!sum || sum->empty()) {
      return nullptr;
    }
    Term outside = algebra_.commonFactor(*sum);
    if (!outside.guards.empty()) {
      return nullptr; // a factor stays behind the guards of its terms
    }
    std::erase_if(outside.powers, [&](const Power& power) { return varies(power.base); });
    if (outside.powers.empty()) {
      return nullptr;
    }
    Sum inside = algebra_.dividedBy(*sum, outside);
    ExprRef body = algebra_.emit(inside, op_.body->dtype);
    Op* inner = function_.createOp(OpKind::Comp, op_.operands, {op_.results[0]->type}, op_.loc);
    inner->dims = op_.dims;
    inner->reduced = op_.reduced;
    inner->reduction = Reduction::Add;
    inner->body = body;
    graph::normalizeOperands(b_.pool(), *inner);
    uint32_t position = algebra::operandPosition(operands_, inner->results[0]);
    ExprRef read = b_.pool().access(position, op_.body->dtype, algebra::indexRange(b_.pool(), 0, op_.dims.size()));
    outside.powers.insert(outside.powers.begin(), {read, 1});
    op_.body = algebra_.emit({outside}, op_.body->dtype);
    op_.operands = operands_;
    op_.reduced.clear();
    op_.reduction = Reduction::None;
    graph::normalizeOperands(b_.pool(), op_);
    changed = true;
    return inner;
  }

  graph::Function& function_;
  const Builder& b_;
  Op& op_;
  const KnownSums& sums_;
  std::vector<Value*> operands_; // op's, then those of definitions looked into
  SumAlgebra algebra_;
};

/// `sums` are those at hand; in the body of a scan also those outside.
bool factorIn(graph::Function& function, const Builder& builder, graph::Block& block, KnownSums sums) {
  std::vector<Op*> ops;
  bool changed = false;
  for (Op* op : block.ops) {
    if (op->kind == OpKind::Comp && op->reduction == Reduction::Add && isFloat(op->body->dtype)) {
      if (Op* inner = SumOp(function, builder, *op, sums).run(changed)) {
        ops.push_back(inner);
        sums.add(inner);
      } else if (op->reduction == Reduction::Add) {
        sums.add(op);
      }
    } else if (op->kind == OpKind::Scan) {
      changed |= factorIn(function, builder, *op->body_block, sums);
    }
    ops.push_back(op);
  }
  block.ops = std::move(ops);
  return changed;
}

} // namespace

Result<Changed> factorReductions(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    bool factored = factorIn(*function, Builder(module.exprs), function->body, {});
    changed = changed | (factored ? Changed::Yes : Changed::No);
  }
  return changed;
}

} // namespace dnn::transform
