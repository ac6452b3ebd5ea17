// Scans whose steps do not depend on each other become ops that compute all steps at once (autodiff/spread_scan.h).
#include "compiler/autodiff/spread_scan.h"
#include "compiler/transform/pass_manager.h"

namespace dnn::transform {

Result<Changed> spreadScans(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    std::unordered_set<const graph::Op*> derived;
    graph::forEachBlock(function->body, [&](graph::Block& block) {
      std::vector<graph::Op*> ops;
      for (graph::Op* op : block.ops) {
        auto made = op->kind == graph::OpKind::Scan ? autodiff::spreadScan(*function, *op, derived) : std::nullopt;
        if (!made) {
          ops.push_back(op);
          continue;
        }
        ops.insert(ops.end(), made->begin(), made->end());
        changed = Changed::Yes;
      }
      block.ops = std::move(ops);
    });
    graph::refreshRegions(*function);
  }
  return changed;
}

} // namespace dnn::transform
