// Computes an elementwise value again in each sum over windows that reads it, instead of storing it.
//
//   %y = comp [n:N, i:32, j:32, c:16] : f32 { max(mul(sub(%z[n, i, j, c], %m[c]), rsqrt(%v[c])), 0.0) }
//   %a = comp … add [u:3, v:3, c:16] { mul(%y[n, i + u - 1, j + v - 1, c; 0.0], %w[u, v, c, o]) }
//   %g = comp [u:3, v:3, c:16, o:16] add … { mul(%y[n, i + u - 1, j + v - 1, c; 0.0], %d[n, i, j, o]) }
//      →   %r = comp [c:16] { rsqrt(%v[c]) }
//          %y1 = comp … { max(mul(sub(%z[n, i, j, c], %m[c]), %r[c]), 0.0) }     %a = … { mul(%y1[…; 0.0], …) }
//          %y2 = comp … { the same }                                             %g = … { mul(%y2[…; 0.0], …) }
//
// Such sums copy what they read with a border of fill values, block by block, before they use it (window.h), and
// compute it just then if it is in their group (fuse.cpp). That takes some arithmetic at each place; a tensor less is
// written and kept until the gradients have read it. Only where
//
//  - the value is a few operations on one tensor that is kept anyway, and on what is small beside it (isPrologue);
//  - every reader is such a sum, or a single elementwise op at the same point, which takes the body in;
//  - the tensor is so large that a pass over it takes long: layers of one shape then have kernels of two kinds, with
//    and without the computation, each of which takes a fraction of a second to compile.
//
// Divisions and roots of what is small are computed once, not at each place.
#include "compiler/algebra/cost.h"
#include "compiler/algebra/reindex.h"
#include "compiler/schedule/analysis.h"
#include "compiler/transform/fuse_rules.h"
#include "compiler/transform/pass_manager.h"
#include "compiler/transform/plan_memory_buffers.h"
#include "compiler/transform/read_through.h"

#include <algorithm>
#include <unordered_map>

namespace dnn::transform {

namespace {

using graph::ExprKind;
using graph::ExprRef;
using graph::IndexVar;
using graph::Op;
using graph::OpKind;
using graph::Value;

constexpr uint64_t leastRecomputedBytes = 6 << 20;
constexpr size_t mostWindows = 8, mostElementwise = 1;

class Recomputer {
public:
  explicit Recomputer(graph::Function& function) : function_(function), b_(function.module.exprs), uses_(function) {}

  Changed run() {
    for (Op* op : function_.body.ops) {
      completeBody(*op);
    }
    uses_ = graph::Uses(function_);
    for (Op* op : function_.body.ops) {
      home_.emplace(op, before_.size());
      before_.emplace_back();
    }
    Changed changed = Changed::No;
    for (Op* op : function_.body.ops) {
      if (isWorth(*op)) {
        recompute(*op);
        changed = Changed::Yes;
      }
    }
    std::vector<Op*> ops;
    for (size_t i = 0; i < before_.size(); ++i) {
      ops.insert(ops.end(), before_[i].begin(), before_[i].end());
      ops.push_back(function_.body.ops[i]);
    }
    function_.body.ops = std::move(ops);
    return changed;
  }

private:
  graph::Function& function_;
  algebra::Builder b_;
  graph::Uses uses_; // as it was before any change: nothing that is recomputed reads something else that is
  std::unordered_map<const Op*, size_t> home_; // position of the function's own ops
  std::vector<std::vector<Op*>> before_;       // new ops in front of each of them

  /// What only this op reads, at its own point, is part of its body.
  void completeBody(Op& op) {
    bool inWindow = op.kind == OpKind::Comp && std::ranges::any_of(uses_.of(op.results[0]), [&](const Op* reader) {
                      return copiesWithBorder(*reader, op.results[0], function_.symbols);
                    });
    for (size_t i = 0; inWindow && i < op.operands.size();) {
      const Value* v = op.operands[i];
      bool own =
          isElementwise(*v->def) && uses_.of(v).size() == 1 && !uses_.returned(v) && schedule::usesPointwise(op, v);
      std::optional<ReadThrough> read = own ? readThrough(b_, op, *v, function_.symbols) : std::nullopt;
      if (!read) {
        ++i;
        continue;
      }
      take(op, std::move(*read));
      i = 0;
    }
  }

  void take(Op& op, ReadThrough read) {
    op.body = read.body;
    op.operands = std::move(read.operands);
    graph::normalizeOperands(b_.pool(), op);
  }

  bool isWorth(const Op& op) const {
    const Value* source = op.kind == OpKind::Comp ? prologueSource(op, function_.symbols) : nullptr;
    if (source == nullptr || uses_.of(source).size() < 2) {
      return false;
    }
    const Value* v = op.results[0];
    const std::vector<Op*>& readers = uses_.of(v);
    if (uses_.returned(v) || readers.size() < 2 || bytesFor(v->type, function_.symbols) < leastRecomputedBytes) {
      return false;
    }
    size_t windows = 0;
    bool fits = std::ranges::all_of(readers, [&](const Op* reader) {
      bool window = copiesWithBorder(*reader, v, function_.symbols);
      windows += window ? 1 : 0;
      return home_.contains(reader) &&
             (window || (schedule::usesPointwise(*reader, v) && prologueSource(*reader, function_.symbols) == nullptr &&
                         readThrough(b_, *reader, *v, function_.symbols)));
    });
    return fits && windows > 0 && windows <= mostWindows && readers.size() <= windows + mostElementwise;
  }

  void recompute(Op& op) {
    precompute(op);
    const Value* v = op.results[0];
    for (Op* reader : uses_.of(v)) {
      if (schedule::usesPointwise(*reader, v)) {
        take(*reader, *readThrough(b_, *reader, *v, function_.symbols));
        continue;
      }
      Op* copy = function_.createOp(OpKind::Comp, op.operands, {v->type}, op.loc);
      copy->dims = op.dims;
      copy->body = op.body;
      before_[home_.at(reader)].push_back(copy);
      std::ranges::replace(reader->operands, op.results[0], copy->results[0]);
    }
  }

  /// Takes divisions and roots of what depends on some indices only out of the body.
  void precompute(Op& op) {
    std::vector<Value*> operands = op.operands;
    op.body = graph::rewrite(b_.pool(), op.body, [&](ExprRef e, const std::vector<ExprRef>&) -> ExprRef {
      constexpr int division = 12;
      std::vector<bool> used = schedule::indicesOf(e, op.dims.size());
      bool some = std::ranges::find(used, true) != used.end() && std::ranges::find(used, false) != used.end();
      bool worth = e->kind == ExprKind::Apply && isFloat(e->dtype) && some && algebra::cost(e) >= division;
      return worth ? smaller(op, e, used, operands) : nullptr;
    });
    op.operands = std::move(operands);
    graph::normalizeOperands(b_.pool(), op);
  }

  /// A comp of this part over the indices that it uses; the element of it.
  ExprRef smaller(const Op& op, ExprRef part, const std::vector<bool>& used, std::vector<Value*>& operands) {
    std::vector<ExprRef> own(op.dims.size(), nullptr), subscripts;
    std::vector<IndexVar> dims;
    TensorType type{part->dtype, {}, std::nullopt};
    for (uint32_t d = 0; d < op.dims.size(); ++d) {
      if (used[d]) {
        own[d] = b_.pool().index(static_cast<uint32_t>(dims.size()));
        subscripts.push_back(b_.pool().index(d));
        dims.push_back(op.dims[d]);
        type.dims.push_back(op.dims[d].extent);
      }
    }
    Op* made = function_.createOp(OpKind::Comp, operands, {type}, op.loc);
    made->dims = std::move(dims);
    made->body = algebra::substituteIndices(b_, part, own);
    graph::normalizeOperands(b_.pool(), *made);
    before_[home_.at(&op)].push_back(made);
    return b_.pool().access(algebra::operandPosition(operands, made->results[0]), part->dtype, subscripts);
  }
};

} // namespace

Result<Changed> recomputeInWindows(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    if (function->kind != graph::FunctionKind::Helper) {
      changed = changed | Recomputer(*function).run();
    }
  }
  return changed;
}

} // namespace dnn::transform
