// Computes an expensive part of a body once for each value of the indices that it depends on, instead of at every
// point.
//
//   comp [i:64, j:128] { mul(%g[i, j], pow(0.9, f32(%step[]))) }
//      →   %0 = comp [] { pow(0.9, f32(%step[])) }      comp [i:64, j:128] { mul(%g[i, j], %0[]) }
//   comp [n:N, o:10] add [k:64] { mul(tanh(%x[n, k]), %w[k, o]) }
//      →   %0 = comp [n:N, k:64] { tanh(%x[n, k]) }     comp [n:N, o:10] add [k:64] { mul(%0[n, k], %w[k, o]) }
//
// Expensive is what costs tens of additions: exponentials, logarithms, powers. Divisions and roots are not worth
// another tensor. But a division by what is the same at every point becomes a product with the reciprocal, which the
// kernel computes once; a division takes as long as ten products.
#include "compiler/algebra/cost.h"
#include "compiler/algebra/reindex.h"
#include "compiler/graph/affine.h"
#include "compiler/transform/pass_manager.h"

#include <algorithm>
#include <unordered_map>

namespace dnn::transform {

namespace {

using algebra::Builder;
using graph::ExprKind;
using graph::ExprRef;
using graph::IndexVar;
using graph::Op;
using graph::OpKind;
using graph::Value;

class Hoister {
public:
  Hoister(graph::Function& function, const Builder& b, Op& op, std::vector<Op*>& before)
      : function_(function), b_(b), op_(op), before_(before), operands_(op.operands) {
    vars_ = op.dims;
    vars_.insert(vars_.end(), op.reduced.begin(), op.reduced.end());
  }

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
  ExprRef visit(ExprRef e) {
    if (auto found = visited_.find(e); found != visited_.end()) {
      return found->second;
    }
    ExprRef result = e;
    if (e->kind == ExprKind::Apply || e->kind == ExprKind::Cast) {
      bool candidate = isFloat(e->dtype) && algebra::isExpensive(e);
      std::vector<uint32_t> used = candidate ? indicesOf(e) : std::vector<uint32_t>();
      if (candidate && repeats(used)) {
        result = hoist(e, used);
      } else if (dividesByUniform(e)) {
        ExprRef reciprocal = b_.pool().apply(ScalarOp::Div, {b_.pool().number(1, e->dtype), visit(e->args[1])});
        result = b_.pool().apply(ScalarOp::Mul, {visit(e->args[0]), reciprocal});
      } else {
        std::vector<ExprRef> args;
        for (ExprRef arg : e->args) {
          args.push_back(visit(arg));
        }
        result = args == e->args ? e : algebra::withArgs(b_, e, args);
      }
    }
    visited_[e] = result;
    return result;
  }

  /// At many points, by something that none of the indices enters and that is not known yet.
  bool dividesByUniform(ExprRef e) const {
    return e->kind == ExprKind::Apply && e->op == ScalarOp::Div && isFloat(e->dtype) &&
           e->args[1]->kind != ExprKind::Const && indicesOf(e->args[1]).empty() && repeats({}) &&
           !indicesOf(e->args[0]).empty();
  }

  std::vector<uint32_t> indicesOf(ExprRef e) const {
    std::vector<uint32_t> used;
    for (uint32_t i = 0; i < vars_.size(); ++i) {
      if (graph::dependsOnIndex(e, i)) {
        used.push_back(i);
      }
    }
    return used;
  }

  /// There is an index of more than one value that e does not depend on.
  bool repeats(const std::vector<uint32_t>& used) const {
    for (uint32_t i = 0; i < vars_.size(); ++i) {
      bool dependsOn = std::ranges::find(used, i) != used.end();
      if (!dependsOn && !(vars_[i].extent == Dim(1))) {
        return true;
      }
    }
    return false;
  }

  ExprRef hoist(ExprRef e, const std::vector<uint32_t>& used) {
    std::vector<ExprRef> replacement(vars_.size(), nullptr);
    std::vector<ExprRef> subscripts;
    std::vector<IndexVar> dims;
    TensorType type{e->dtype, {}, std::nullopt};
    for (uint32_t i : used) {
      replacement[i] = b_.pool().index(static_cast<uint32_t>(dims.size()));
      subscripts.push_back(b_.pool().index(i));
      dims.push_back(vars_[i]);
      type.dims.push_back(vars_[i].extent);
    }
    for (size_t i = 0; i < vars_.size(); ++i) {
      replacement[i] = replacement[i] == nullptr ? b_.pool().index(static_cast<uint32_t>(i)) : replacement[i];
    }
    Op* made = function_.createOp(OpKind::Comp, operands_, {type}, op_.loc);
    made->dims = std::move(dims);
    made->body = algebra::substituteIndices(b_, e, replacement);
    graph::normalizeOperands(b_.pool(), *made);
    before_.push_back(made);
    Value* value = made->results[0];
    return b_.pool().access(algebra::operandPosition(operands_, value), e->dtype, subscripts);
  }

  graph::Function& function_;
  const Builder& b_;
  Op& op_;
  std::vector<Op*>& before_;     // receives the new ops
  std::vector<Value*> operands_; // op's, then the hoisted values
  std::vector<IndexVar> vars_;   // dims, then reduced
  std::unordered_map<ExprRef, ExprRef> visited_;
};

} // namespace

Result<Changed> hoistInvariants(graph::Module& module) {
  Changed changed = Changed::No;
  Builder builder(module.exprs);
  for (const auto& function : module.functions) {
    graph::forEachBlock(function->body, [&](graph::Block& block) {
      std::vector<Op*> ops;
      for (Op* op : block.ops) {
        if (op->body != nullptr && Hoister(*function, builder, *op, ops).run()) {
          changed = Changed::Yes;
        }
        ops.push_back(op);
      }
      block.ops = std::move(ops);
    });
  }
  return changed;
}

} // namespace dnn::transform
