#include "compiler/transform/plan_memory_scans.h"

#include "compiler/graph/scan.h"
#include "compiler/transform/plan_memory_buffers.h"

#include <algorithm>

namespace dnn::transform {

using graph::Op;
using graph::OpKind;
using graph::Value;

namespace {

constexpr size_t none = SIZE_MAX;

} // namespace

ScanPlanner::ScanPlanner(const graph::Function& function, const Roots& roots) : function_(function), roots_(roots) {}

void ScanPlanner::addMoving(const Op& scan, const ScanPlacement& placement) {
  for (size_t i = 0; i < scan.sliceCount; ++i) {
    moving_.insert(graph::sliceOf(scan, i));
  }
  for (size_t i = 0; i < scan.carryCount; ++i) {
    moving_.insert(graph::carryOf(scan, i));
    if (placement.nexts[i] == ScanPlacement::Next::Own) {
      moving_.insert(roots_.of(graph::nextsOf(scan)[i]));
    }
  }
  const std::vector<Value*>& emits = graph::emitsOf(scan);
  for (size_t i = 0; i < emits.size(); ++i) {
    if (placement.emitOwn[i]) {
      moving_.insert(roots_.of(emits[i]));
    }
  }
}

uint64_t ScanPlanner::plan(const Op& scan) {
  Body body;
  body.placement = placeScan(scan, roots_);
  addMoving(scan, body.placement);
  const std::vector<Op*>& ops = scan.body_block->ops;
  size_t end = ops.size();
  auto add = [&](const Value* v, size_t first, size_t last) {
    if (!moving_.contains(v)) {
      body.bufferOf[v] = body.buffers.size();
      body.buffers.push_back({v, bytesFor(v->type, function_.symbols), first, last});
    }
  };
  for (size_t i = 0; i < ops.size(); ++i) {
    const Op& op = *ops[i];
    if (op.kind == OpKind::Counter) {
      add(op.results[0], 0, end);
    }
    for (const Value* v : op.kind == OpKind::Group  ? op.escapes
                          : op.kind == OpKind::Scan ? op.results
                                                    : std::vector<Value*>()) {
      add(v, i, i);
    }
    if (op.kind == OpKind::Scan) {
      body.buffers.push_back({nullptr, plan(op), i, i, 0, &op});
    }
    bool atEnd = op.kind == OpKind::Next || op.kind == OpKind::Emit;
    for (const Value* v : op.operands) {
      if (auto found = body.bufferOf.find(roots_.of(v)); found != body.bufferOf.end()) {
        ArenaBuffer& b = body.buffers[found->second];
        b.last = std::max(b.last, atEnd ? end : i);
      }
    }
  }
  for (size_t i = 0; i < scan.carryCount; ++i) {
    bool turns = body.placement.nexts[i] != ScanPlacement::Next::Emitted;
    body.others.push_back(turns ? body.buffers.size() : none);
    if (turns) {
      body.buffers.push_back({nullptr, bytesFor(graph::carryOf(scan, i)->type, function_.symbols), 0, end});
    }
  }
  uint64_t bytes = placeBuffers(body.buffers);
  bodies_.insert_or_assign(&scan, std::move(body));
  return bytes;
}

void ScanPlanner::fill(const Op& scan, uint64_t offset, FunctionMemory& memory) const {
  const Body& body = bodies_.at(&scan);
  auto slot = [&](size_t buffer) {
    const ArenaBuffer& b = body.buffers[buffer];
    return Slot{Slot::Region::Arena, offset + b.offset, b.bytes};
  };
  ScanMemory own{body.placement, {}};
  for (size_t other : body.others) {
    own.others.push_back(other == none ? Slot{} : slot(other));
  }
  memory.scans.emplace(&scan, std::move(own));
  for (const auto& [value, buffer] : body.bufferOf) {
    memory.slots[value] = slot(buffer);
  }
  for (const ArenaBuffer& b : body.buffers) {
    if (b.scan != nullptr) {
      fill(*b.scan, offset + b.offset, memory);
    }
  }
}

} // namespace dnn::transform
