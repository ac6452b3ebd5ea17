#include "compiler/transform/plan_memory.h"

#include "compiler/support/assert.h"
#include "compiler/transform/plan_memory_buffers.h"
#include "compiler/transform/plan_memory_scans.h"

#include <algorithm>
#include <unordered_set>

namespace dnn::transform {

namespace {

using graph::Op;
using graph::OpKind;
using graph::Value;

class FunctionPlanner {
public:
  FunctionPlanner(const graph::Function& function, const UpdatePlacement& placement, const MemoryPlan& plan)
      : function_(function), placement_(placement), plan_(plan), roots_(function), scans_(function, roots_) {}

  FunctionMemory run() {
    collectBuffers();
    extendLives();
    findCopies();
    result_.arenaPeak = placeBuffers(buffers_);
    result_.arenaLowerBound = mostAliveAtOnce(buffers_, end() + 1);
    fillSlots();
    fillCopies();
    result_.buffers = std::move(buffers_);
    return std::move(result_);
  }

private:
  /// A copy at the function's end, before the buffers have offsets.
  struct PendingCopy {
    std::optional<size_t> fromBuffer; // else fromPath
    std::string fromPath;
    std::optional<size_t> toBuffer; // else toPath
    std::string toPath;
    uint64_t bytes = 0;
  };

  const graph::Function& function_;
  const UpdatePlacement& placement_;
  const MemoryPlan& plan_;
  Roots roots_;
  ScanPlanner scans_;
  FunctionMemory result_;
  std::vector<ArenaBuffer> buffers_;
  std::unordered_map<const Value*, size_t> bufferOf_; // of roots
  std::vector<PendingCopy> copies_;
  std::unordered_map<std::string, size_t> outputBuffer_; // by port, where it is not the value's own

  size_t end() const { return function_.body.ops.size(); }

  uint64_t bytesOf(const Value* v) const { return bytesFor(v->type, function_.symbols); }

  /// The persistent tensor in whose memory the root lies, or nullptr.
  const std::string* persistentHome(const Value* root) const {
    if (root->def->kind == OpKind::Param || root->def->kind == OpKind::State) {
      return &root->def->symbol;
    }
    auto direct = placement_.direct.find(root);
    return direct == placement_.direct.end() ? nullptr : &direct->second;
  }

  void addBuffer(const Value* v, size_t first, size_t last) {
    if (persistentHome(v) == nullptr) {
      bufferOf_[v] = buffers_.size();
      buffers_.push_back({v, bytesOf(v), first, last});
    }
  }

  void collectBuffers() {
    for (size_t i = 0; i < function_.body.ops.size(); ++i) {
      const Op& op = *function_.body.ops[i];
      switch (op.kind) {
      case OpKind::Input: addBuffer(op.results[0], 0, end()); break;
      case OpKind::Env: addBuffer(op.results[0], 0, i); break;
      case OpKind::Group:
        for (const Value* v : op.escapes) {
          addBuffer(v, i, i);
        }
        break;
      case OpKind::Scan:
        for (const Value* v : op.results) {
          addBuffer(v, i, i);
        }
        buffers_.push_back({nullptr, scans_.plan(op), i, i, 0, &op});
        break;
      case OpKind::Distinct:
        for (const Value* v : op.results) {
          addBuffer(v, i, i);
        }
        break;
      case OpKind::Param:
      case OpKind::State:
      case OpKind::Reshape:
      case OpKind::Update:
      case OpKind::Output: break;
      case OpKind::Comp:
      case OpKind::Scatter:
      case OpKind::Concat:
      case OpKind::CallVjp:
      case OpKind::Grad:
      case OpKind::Counter:
      case OpKind::Carry:
      case OpKind::Slice:
      case OpKind::Next:
      case OpKind::Emit: DNN_UNREACHABLE("memory is planned for fused functions");
      }
    }
  }

  void extendLives() {
    for (size_t i = 0; i < function_.body.ops.size(); ++i) {
      const Op& op = *function_.body.ops[i];
      bool atEnd = op.kind == OpKind::Update || op.kind == OpKind::Output;
      for (const Value* v : op.operands) {
        auto found = bufferOf_.find(roots_.of(v));
        if (found != bufferOf_.end()) {
          ArenaBuffer& b = buffers_[found->second];
          b.last = std::max(b.last, atEnd ? end() : i);
        }
      }
    }
  }

  PendingCopy copyFrom(const Value* root) const {
    PendingCopy copy;
    copy.bytes = bytesOf(root);
    if (const std::string* path = persistentHome(root)) {
      copy.fromPath = *path;
    } else {
      copy.fromBuffer = bufferOf_.at(root);
    }
    return copy;
  }

  size_t addTemporary(uint64_t bytes) {
    buffers_.push_back({nullptr, bytes, end(), end()});
    return buffers_.size() - 1;
  }

  /// Outputs read old values, so they are copied first; then updates, all at once in meaning: what comes from a
  /// persistent tensor that a copy overwrites goes through a temporary.
  void findCopies() {
    std::vector<PendingCopy> updates;
    std::unordered_set<std::string> overwritten;
    for (const Op* op : function_.body.ops) {
      if (op->kind == OpKind::Output) {
        const Value* root = roots_.of(op->operands[0]);
        if (persistentHome(root) != nullptr) {
          PendingCopy copy = copyFrom(root);
          copy.toBuffer = outputBuffer_[op->symbol] = addTemporary(copy.bytes);
          copies_.push_back(copy);
        }
      } else if (op->kind == OpKind::Update) {
        PendingCopy copy = copyFrom(roots_.of(op->operands[0]));
        copy.toPath = op->symbol;
        if (op->operands.size() > 1) {
          overwritten.insert(copy.toPath);
          continue; // by rows, behind all others
        }
        if (copy.fromBuffer || copy.fromPath != copy.toPath) { // else in place, direct, or unchanged
          overwritten.insert(copy.toPath);
          updates.push_back(copy);
        }
      }
    }
    for (PendingCopy& copy : updates) {
      if (!copy.fromBuffer && overwritten.contains(copy.fromPath)) {
        PendingCopy first = copy;
        first.toPath.clear();
        first.toBuffer = copy.fromBuffer = addTemporary(copy.bytes);
        copies_.push_back(first);
      }
    }
    copies_.insert(copies_.end(), updates.begin(), updates.end());
  }

  Slot arenaSlot(const ArenaBuffer& b) const { return {Slot::Region::Arena, b.offset, b.bytes}; }

  Slot persistentSlot(const std::string& path, uint64_t bytes) const {
    return {Slot::Region::Persistent, plan_.persistentOffset.at(path), bytes};
  }

  Slot slotOfRoot(const Value* root) const {
    if (const std::string* path = persistentHome(root)) {
      return persistentSlot(*path, bytesOf(root));
    }
    return arenaSlot(buffers_[bufferOf_.at(root)]);
  }

  void fillSlots() {
    for (const ArenaBuffer& b : buffers_) {
      if (b.scan != nullptr) {
        scans_.fill(*b.scan, b.offset, result_);
      }
    }
    for (const Op* op : function_.body.ops) {
      for (const Value* v : op->kind == OpKind::Group ? op->escapes : op->results) {
        result_.slots[v] = slotOfRoot(roots_.of(v));
      }
      if (op->kind == OpKind::Output) {
        auto own = outputBuffer_.find(op->symbol);
        result_.outputs[op->symbol] =
            own == outputBuffer_.end() ? slotOfRoot(roots_.of(op->operands[0])) : arenaSlot(buffers_[own->second]);
      }
    }
  }

  void fillCopies() {
    for (const PendingCopy& copy : copies_) {
      Slot from = copy.fromBuffer ? arenaSlot(buffers_[*copy.fromBuffer]) : persistentSlot(copy.fromPath, copy.bytes);
      Slot to = copy.toBuffer ? arenaSlot(buffers_[*copy.toBuffer]) : persistentSlot(copy.toPath, copy.bytes);
      from.bytes = to.bytes = copy.bytes;
      result_.copies.push_back({from, to});
    }
    for (const Op* op : function_.body.ops) {
      if (op->kind == OpKind::Update && op->operands.size() > 1) {
        const TensorType& type = op->operands[0]->type;
        uint64_t row = static_cast<uint64_t>(byteSize(type.dtype));
        for (size_t d = 1; d < type.rank(); ++d) {
          row *= static_cast<uint64_t>(type.dims[d].constant());
        }
        auto at = [&](size_t operand) { return slotOfRoot(roots_.of(op->operands[operand])); };
        result_.rowCopies.push_back({at(0), at(1), at(2), persistentSlot(op->symbol, 0), row});
      }
    }
  }
};

} // namespace

MemoryPlan planMemory(const graph::Module& module, const UpdatePlacements& placements) {
  MemoryPlan plan;
  for (const graph::Persistent& p : module.persistents) {
    plan.persistentOffset[p.path] = plan.persistentBytes;
    plan.persistentBytes += aligned(bytesFor(p.type, {}));
  }
  for (const auto& function : module.functions) {
    auto placement = placements.find(function.get());
    if (placement != placements.end()) {
      FunctionMemory memory = FunctionPlanner(*function, placement->second, plan).run();
      plan.arenaBytes = std::max(plan.arenaBytes, memory.arenaPeak);
      plan.functions.emplace(function.get(), std::move(memory));
    }
  }
  return plan;
}

} // namespace dnn::transform
