#include "compiler/autodiff/widen_storage.h"

namespace dnn::autodiff {

using graph::ExprKind;
using graph::ExprRef;

namespace {

ExprRef widened(graph::ExprPool& pool, ExprRef root) {
  return graph::rewrite(pool, root, [&](ExprRef e, const std::vector<ExprRef>& args) -> ExprRef {
    switch (e->kind) {
    case ExprKind::Const: return isStorageOnly(e->dtype) ? pool.number(e->number) : nullptr;
    case ExprKind::Access: return pool.access(e->operand, computedAs(e->dtype), args, e->fill);
    case ExprKind::Apply: return pool.apply(e->op, args);
    case ExprKind::Cast: return args[0]->dtype == computedAs(e->dtype) ? args[0] : nullptr;
    case ExprKind::Index:
    case ExprKind::Extent:
    case ExprKind::Draw: return nullptr;
    }
    return nullptr;
  });
}

} // namespace

void widenStorage(graph::Module& module) {
  for (graph::Persistent& p : module.persistents) {
    p.type = gradientType(p.type);
  }
  for (const auto& function : module.functions) {
    graph::forEachOp(function->body, [&](graph::Op* op) {
      for (graph::Value* result : op->results) {
        result->type = gradientType(result->type);
      }
      if (op->body != nullptr) {
        op->body = widened(module.exprs, op->body);
      }
    });
  }
}

} // namespace dnn::autodiff
