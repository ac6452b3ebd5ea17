#include "compiler/driver/work.h"

#include <cmath>
#include <cstdint>

namespace dnn::driver {

double floatOperations(const graph::Block& block, std::span<const int64_t> symbols) {
  double total = 0; // exact far beyond what any machine can run
  graph::forEachOp(block, [&](const graph::Op* op) {
    if (op->kind != graph::OpKind::Comp && op->kind != graph::OpKind::Scatter) {
      return;
    }
    double points = 1;
    for (const auto* indices : {&op->dims, &op->reduced}) {
      for (const graph::IndexVar& index : *indices) {
        points *= static_cast<double>(index.extent.evaluate(symbols));
      }
    }
    int perPoint = op->kind == graph::OpKind::Scatter || op->reduction != Reduction::None ? 1 : 0;
    graph::forEachNode(op->body, [&](graph::ExprRef e) {
      perPoint += e->kind == graph::ExprKind::Apply && isFloat(e->dtype) ? 1 : 0;
    });
    total += points * perPoint;
  });
  return total;
}

uint64_t floatOperations(const graph::Function& function) {
  std::vector<int64_t> largest;
  for (const Symbol& symbol : function.symbols) {
    largest.push_back(symbol.max);
  }
  double total = floatOperations(function.body, largest);
  return total < 0x1p63 ? static_cast<uint64_t>(total) : UINT64_MAX;
}

} // namespace dnn::driver
