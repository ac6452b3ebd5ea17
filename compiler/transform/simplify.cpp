// Simplifies the bodies and subscripts of comps and scatters (compiler/algebra/simplify.h), one op at a time.
//
//   comp [n:N] : f32 { mul(add(%d[n], neg(%d[n])), %x[n]) }      →      comp [n:N] : f32 { 0.0 }
//
// A reduction of points that are all the same is not a reduction: max, min, any and all of a value that does not depend
// on the reduced indices is the value, and a sum over one point is that point. stop_grad goes where no gradient is left
// to be taken.
#include "compiler/algebra/simplify.h"
#include "compiler/algebra/reindex.h"
#include "compiler/transform/pass_manager.h"

#include <algorithm>

namespace dnn::transform {

namespace {

using algebra::Builder;
using graph::ExprRef;
using graph::Op;
using graph::OpKind;

/// Reduced indices of one point, and all of them if the points are the same and the reduction does not count them.
bool dropReduced(const Builder& b, std::span<const Symbol> symbols, Op& op) {
  if (op.reduced.empty()) {
    return false;
  }
  bool uncounted = op.reduction == Reduction::Max || op.reduction == Reduction::Min || op.reduction == Reduction::Any ||
                   op.reduction == Reduction::All;
  std::vector<ExprRef> replacement = algebra::indexRange(b.pool(), 0, op.dims.size());
  std::vector<graph::IndexVar> kept;
  for (size_t r = 0; r < op.reduced.size(); ++r) {
    auto position = static_cast<uint32_t>(op.dims.size() + r);
    const Dim& extent = op.reduced[r].extent;
    bool onePoint = extent.min(symbols) == 1 && extent.max(symbols) == 1; // of a batch of one, too
    bool droppable = onePoint || (uncounted && extent.min(symbols) >= 1 && !graph::dependsOnIndex(op.body, position));
    if (droppable && !isArg(op.reduction)) {
      replacement.push_back(b.pool().integer(0));
    } else {
      replacement.push_back(b.pool().index(static_cast<uint32_t>(op.dims.size() + kept.size())));
      kept.push_back(op.reduced[r]);
    }
  }
  if (kept.size() == op.reduced.size()) {
    return false;
  }
  op.body = algebra::substituteIndices(b, op.body, replacement);
  op.reduced = std::move(kept);
  op.reduction = op.reduced.empty() ? Reduction::None : op.reduction;
  return true;
}

bool simplifyOp(const Builder& b, graph::Function& function, Op& op, bool beforeGradient) {
  bool changed = dropReduced(b, function.symbols, op);
  algebra::Simplifier simplifier(b, graph::domainOf(op, function.symbols), beforeGradient);
  ExprRef body = simplifier.run(op.body);
  std::vector<ExprRef> at;
  for (ExprRef subscript : op.at) {
    at.push_back(simplifier.run(subscript));
  }
  if (body != op.body || at != op.at) {
    op.body = body;
    op.at = std::move(at);
    changed = true;
  }
  if (changed) {
    graph::normalizeOperands(b.pool(), op);
  }
  return changed;
}

} // namespace

Result<Changed> simplify(graph::Module& module) {
  Changed changed = Changed::No;
  Builder builder(module.exprs);
  for (const auto& function : module.functions) {
    bool beforeGradient = function->kind == graph::FunctionKind::Helper;
    graph::forEachOp(function->body, [&](const Op* op) { beforeGradient |= op->kind == OpKind::Grad; });
    graph::forEachOp(function->body, [&](Op* op) {
      if (op->body != nullptr && simplifyOp(builder, *function, *op, beforeGradient)) {
        changed = Changed::Yes;
      }
    });
  }
  return changed;
}

} // namespace dnn::transform
