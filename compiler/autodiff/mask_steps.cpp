#include "compiler/autodiff/mask_steps.h"

#include "compiler/algebra/builder.h"
#include "compiler/algebra/reindex.h"
#include "compiler/autodiff/adjoint.h"
#include "compiler/graph/scan.h"

#include <unordered_set>

namespace dnn::autodiff {

using graph::Op;
using graph::OpKind;
using graph::Value;

namespace {

/// The scans that the losses are computed with.
std::vector<Op*> scansBehindLosses(const graph::Function& function) {
  std::vector<const Value*> open;
  graph::forEachOp(function.body, [&](const Op* op) {
    if (op->kind == OpKind::Grad) {
      open.push_back(op->operands[0]);
    }
  });
  std::unordered_set<const Value*> seen(open.begin(), open.end());
  std::unordered_set<const Op*> met;
  std::vector<Op*> scans;
  while (!open.empty()) {
    Op* op = open.back()->def;
    open.pop_back();
    if (!met.insert(op).second) {
      continue;
    }
    auto follow = [&](const std::vector<Value*>& values) {
      for (const Value* v : values) {
        if (seen.insert(v).second) {
          open.push_back(v);
        }
      }
    };
    follow(op->operands);
    if (op->kind == OpKind::Scan) {
      scans.push_back(op);
      follow(graph::nextsOf(*op));
      follow(graph::emitsOf(*op));
    }
  }
  return scans;
}

class Masker {
public:
  explicit Masker(graph::Function& function) : function_(function), builder_(function.module.exprs) {}

  void run(Op& scan) {
    std::vector<Value*>& nexts = graph::nextsOf(scan);
    Value* stopped = graph::carryOf(scan, 0);
    nexts[0] = chosen(scan, stopped, stopped, nexts[0]);
    for (size_t i = 1; i < nexts.size(); ++i) {
      nexts[i] = chosen(scan, stopped, graph::carryOf(scan, i), nexts[i]);
    }
    for (Value*& value : graph::emitsOf(scan)) {
      value = chosen(scan, stopped, nullptr, value);
    }
    scan.ends = false;
  }

private:
  /// stopped ? then : otherwise; without `then` 0.
  Value* chosen(Op& scan, Value* stopped, Value* then, Value* otherwise) {
    graph::ExprPool& pool = function_.module.exprs;
    const TensorType& type = otherwise->type;
    Op* op = function_.createOp(OpKind::Comp, {stopped, otherwise}, {then != nullptr ? then->type : type}, scan.loc);
    op->dims = elementIndices(type);
    std::vector<graph::ExprRef> at = algebra::indexRange(pool, 0, type.rank());
    graph::ExprRef value = builder_.zero(type.dtype);
    if (then != nullptr) {
      op->operands.push_back(then);
      value = pool.access(2, type.dtype, at);
    }
    op->body = builder_.select(pool.access(0, DType::Bool, {}), value, pool.access(1, type.dtype, at));
    op->results[0]->name = otherwise->name;
    graph::normalizeOperands(pool, *op);
    scan.body_block->ops.insert(graph::bodyEnd(scan), op);
    return op->results[0];
  }

  graph::Function& function_;
  algebra::Builder builder_;
};

} // namespace

void maskSteps(graph::Function& function) {
  bool changed = false;
  for (Op* scan : scansBehindLosses(function)) {
    if (scan->ends) {
      Masker(function).run(*scan);
      changed = true;
    }
  }
  graph::forEachOp(function.body, [](Op* op) {
    if (op->ends) {
      op->saveEvery = 0; // no gradient reads it again
    }
  });
  if (changed) {
    graph::refreshRegions(function);
  }
}

} // namespace dnn::autodiff
