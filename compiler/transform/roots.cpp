#include "compiler/transform/roots.h"

namespace dnn::transform {

using graph::Op;
using graph::OpKind;
using graph::Value;

Roots::Roots(const graph::Function& function) { collect(function.body); }

void Roots::collect(const graph::Block& block) {
  for (const Op* op : block.ops) {
    if (op->kind == OpKind::Reshape) {
      roots_[op->results[0]] = of(op->operands[0]);
    } else if (op->kind == OpKind::Scan) {
      collect(*op->body_block);
    }
  }
}

const Value* Roots::of(const Value* v) const {
  auto found = roots_.find(v);
  return found == roots_.end() ? v : found->second;
}

} // namespace dnn::transform
