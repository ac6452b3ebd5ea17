#include "compiler/transform/place_scans.h"

#include "compiler/graph/scan.h"

#include <numeric>

namespace dnn::transform {

using graph::Op;
using graph::OpKind;
using graph::Value;

namespace {

/// What the ops of the body make: values whose place is free to choose.
std::unordered_set<const Value*> madeIn(const Op& scan) {
  std::unordered_set<const Value*> made;
  for (const Op* op : scan.body_block->ops) {
    if (op->kind == OpKind::Group) {
      made.insert(op->escapes.begin(), op->escapes.end());
    } else if (op->kind == OpKind::Scan) {
      made.insert(op->results.begin(), op->results.end());
    }
  }
  return made;
}

/// Values of this type that lie one behind the other all begin at multiples of 64 bytes.
bool fillsLines(const TensorType& type) {
  int64_t factor = byteSize(type.dtype);
  for (const Dim& dim : type.dims) {
    int64_t divisor = dim.constant();
    for (const auto& [symbol, coefficient] : dim.terms()) {
      divisor = std::gcd(divisor, coefficient);
    }
    factor = std::gcd(factor * std::gcd(divisor, int64_t{64}), int64_t{64});
  }
  return factor == 64;
}

void collectUnaligned(const graph::Block& block, const Roots& roots, std::unordered_set<const Value*>& unaligned) {
  for (const Op* op : block.ops) {
    if (op->kind != OpKind::Scan) {
      continue;
    }
    ScanPlacement placement = placeScan(*op, roots);
    auto moves = [&](const Value* stacked, const Value* value) {
      return unaligned.contains(roots.of(stacked)) || !fillsLines(value->type);
    };
    for (size_t i = 0; i < op->sliceCount; ++i) {
      const Value* slice = graph::sliceOf(*op, i);
      if (moves(op->operands[op->carryCount + i], slice)) {
        unaligned.insert(slice);
      }
    }
    const std::vector<Value*>& emits = graph::emitsOf(*op);
    for (size_t i = 0; i < emits.size(); ++i) {
      if (placement.emitOwn[i] && moves(op->results[i], emits[i])) {
        unaligned.insert(roots.of(emits[i]));
      }
    }
    for (size_t i = 0; i < op->carryCount; ++i) {
      const Value* next = roots.of(graph::nextsOf(*op)[i]);
      bool last = unaligned.contains(roots.of(graph::finalOf(*op, i)));
      bool turns = placement.nexts[i] != ScanPlacement::Next::Emitted;
      if (last && placement.nexts[i] == ScanPlacement::Next::Own) {
        unaligned.insert(next);
      }
      if (unaligned.contains(roots.of(op->operands[i])) || (turns ? last : unaligned.contains(next))) {
        unaligned.insert(graph::carryOf(*op, i));
      }
    }
    collectUnaligned(*op->body_block, roots, unaligned);
  }
}

} // namespace

ScanPlacement placeScan(const Op& scan, const Roots& roots) {
  std::unordered_set<const Value*> free = madeIn(scan);
  std::vector<const Value*> emitted;
  ScanPlacement placement;
  for (const Value* value : graph::emitsOf(scan)) {
    const Value* root = roots.of(value);
    bool own = free.erase(root) > 0;
    placement.emitOwn.push_back(own);
    emitted.push_back(own ? root : nullptr);
  }
  for (const Value* value : graph::nextsOf(scan)) {
    const Value* root = roots.of(value);
    size_t emit = 0;
    while (emit < emitted.size() && emitted[emit] != root) {
      ++emit;
    }
    bool own = free.erase(root) > 0;
    placement.nexts.push_back(own                     ? ScanPlacement::Next::Own
                              : emit < emitted.size() ? ScanPlacement::Next::Emitted
                                                      : ScanPlacement::Next::Copied);
    placement.emittedAs.push_back(static_cast<uint32_t>(emit));
  }
  return placement;
}

std::unordered_set<const Value*> unalignedRoots(const graph::Function& function, const Roots& roots) {
  std::unordered_set<const Value*> unaligned;
  collectUnaligned(function.body, roots, unaligned);
  return unaligned;
}

} // namespace dnn::transform
