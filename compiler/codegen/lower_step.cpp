#include "compiler/codegen/lower_step.h"

#include "compiler/graph/scan.h"
#include "compiler/support/assert.h"
#include "runtime/types/half.h"

#include <algorithm>
#include <bit>
#include <map>

namespace dnn::codegen {

namespace {

using graph::Op;
using graph::OpKind;
using graph::Value;

Place placeOf(const transform::Slot& slot) {
  bool arena = slot.region == transform::Slot::Region::Arena;
  return {arena ? Place::Region::Arena : Place::Region::Persistent, slot.offset};
}

class EntryLowering {
public:
  EntryLowering(const graph::Function& function, const transform::KernelTable& kernels,
                const transform::FunctionMemory& memory, const std::vector<StepProgram::KernelSymbol>& symbols)
      : function_(function), kernels_(kernels), memory_(memory), symbols_(symbols), roots_(function) {}

  EntryCode run() {
    entry_.name = function_.name;
    entry_.symbols = function_.symbols;
    for (const Op* op : function_.body.ops) {
      if (op->kind == OpKind::Env) {
        lowerEnv(*op);
      }
    }
    entry_.calls = lowerBlock(function_.body);
    for (const transform::CopyBack& copy : memory_.copies) {
      entry_.copies.push_back({placeOf(copy.from), placeOf(copy.to), copy.to.bytes});
    }
    for (const transform::RowCopy& copy : memory_.rowCopies) {
      entry_.rowCopies.push_back(
          {placeOf(copy.from), placeOf(copy.rows), placeOf(copy.count), placeOf(copy.to), copy.bytes});
    }
    return std::move(entry_);
  }

private:
  const graph::Function& function_;
  const transform::KernelTable& kernels_;
  const transform::FunctionMemory& memory_;
  const std::vector<StepProgram::KernelSymbol>& symbols_;
  transform::Roots roots_;
  EntryCode entry_;
  std::map<std::pair<const Value*, transform::MergedDims>, uint32_t> descriptorOf_;
  std::unordered_map<const Value*, uint32_t> pointerOf_; // roots that move from step to step

  Address addressOf(const Value* value) const {
    const Value* root = roots_.of(value);
    auto pointer = pointerOf_.find(root);
    return pointer == pointerOf_.end() ? Address{placeOf(memory_.slots.at(root)), {}} : Address{{}, pointer->second};
  }

  /// `merged`: the kernel's dimensions.
  CallArg buffer(const Value* value, const transform::MergedDims& merged) {
    auto [entry, isNew] =
        descriptorOf_.try_emplace(std::pair(value, merged), static_cast<uint32_t>(entry_.descriptors.size()));
    if (isNew) {
      std::vector<Dim> dims = transform::mergedExtents(value->type.dims, merged);
      entry_.descriptors.push_back({value->type.dtype, std::move(dims), addressOf(value)});
    }
    return {CallArg::Kind::Buffer, entry->second};
  }

  std::vector<CallCode> lowerBlock(const graph::Block& block) {
    std::vector<CallCode> calls;
    for (const Op* op : block.ops) {
      if (op->kind == OpKind::Group) {
        calls.push_back(lowerGroup(*op));
      } else if (op->kind == OpKind::Distinct) {
        CallCode call;
        const Value* keys = op->operands[0];
        call.distinct = DistinctCode{addressOf(keys), extentOf(keys), addressOf(op->results[0]),
                                     addressOf(op->results[1]), addressOf(op->results[2])};
        calls.push_back(std::move(call));
      } else if (op->kind == OpKind::Scan) {
        CallCode call;
        call.loop = std::make_shared<const LoopCode>(lowerScan(*op));
        calls.push_back(std::move(call));
      }
    }
    return calls;
  }

  static Extent extentOf(const Value* value) { return {value->type.dtype, value->type.dims}; }

  LoopCode lowerScan(const Op& scan) {
    using Next = transform::ScanPlacement::Next;
    const transform::ScanMemory& memory = memory_.scans.at(&scan);
    const std::vector<Value*>& emits = graph::emitsOf(scan);
    const std::vector<Value*>& nexts = graph::nextsOf(scan);
    LoopCode loop;
    loop.steps = scan.dims[0].extent;
    loop.reversed = scan.reversed;
    loop.ends = scan.ends;
    loop.emitted = static_cast<uint32_t>(emits.size());
    for (size_t i = 0; i < scan.sliceCount; ++i) {
      const Value* slice = graph::sliceOf(scan, i);
      pointerOf_[slice] = entry_.pointers;
      loop.cursors.push_back({entry_.pointers++, addressOf(scan.operands[scan.carryCount + i]), extentOf(slice)});
    }
    uint32_t firstEmit = entry_.pointers;
    for (size_t i = 0; i < emits.size(); ++i) {
      loop.cursors.push_back({entry_.pointers++, addressOf(scan.results[i]), extentOf(emits[i])});
      if (memory.placement.emitOwn[i]) {
        pointerOf_[roots_.of(emits[i])] = firstEmit + static_cast<uint32_t>(i);
      }
    }
    for (size_t i = 0; i < scan.carryCount; ++i) {
      const Value* value = graph::carryOf(scan, i);
      CarryPointer carry{.initial = addressOf(scan.operands[i]), .last = addressOf(graph::finalOf(scan, i))};
      carry.pointer = pointerOf_[value] = entry_.pointers++;
      carry.extent = extentOf(value);
      if (memory.placement.nexts[i] == Next::Emitted) {
        carry.next = firstEmit + memory.placement.emittedAs[i];
      } else {
        carry.next = entry_.pointers++;
        carry.other = Address{placeOf(memory.others[i]), {}};
      }
      loop.carries.push_back(std::move(carry));
      if (memory.placement.nexts[i] == Next::Own) {
        pointerOf_[roots_.of(nexts[i])] = loop.carries.back().next;
      }
    }
    if (const Value* counter = graph::counterOf(scan)) {
      loop.counter = addressOf(counter);
    }
    loop.calls = lowerBlock(*scan.body_block);
    for (size_t i = 0; i < emits.size(); ++i) {
      if (!memory.placement.emitOwn[i]) {
        loop.copies.push_back({addressOf(emits[i]), {{}, firstEmit + static_cast<uint32_t>(i)}, extentOf(emits[i])});
      }
    }
    for (size_t i = 0; i < scan.carryCount; ++i) {
      if (memory.placement.nexts[i] == Next::Copied) {
        loop.copies.push_back({addressOf(nexts[i]), {{}, loop.carries[i].next}, extentOf(nexts[i])});
      }
    }
    return loop;
  }

  /// Kernels get the step and the epoch as scalars; memory holds them only for whoever else reads them.
  void lowerEnv(const Op& op) {
    const Value* value = op.results[0];
    bool inMemory = std::ranges::any_of(function_.body.ops, [&](const Op* user) {
      return user->kind != OpKind::Group && std::ranges::find(user->operands, value) != user->operands.end();
    });
    if (inMemory) {
      entry_.stores.push_back({op.symbol == "epoch", placeOf(memory_.slots.at(value))});
    }
  }

  /// The bits of a constant of its type; bool is stored as u8.
  static uint64_t bitsOf(graph::ExprRef constant) {
    switch (constant->dtype) {
    case DType::F32: return std::bit_cast<uint32_t>(static_cast<float>(constant->number));
    case DType::F64: return std::bit_cast<uint64_t>(constant->number);
    case DType::BF16:
    case DType::F16: return toBits(constant->dtype, static_cast<float>(constant->number));
    case DType::I32:
    case DType::U32: return static_cast<uint32_t>(constant->integer);
    case DType::I64: return static_cast<uint64_t>(constant->integer);
    case DType::U8:
    case DType::Bool: return static_cast<uint8_t>(constant->integer);
    }
    DNN_UNREACHABLE("every element type has bits");
  }

  CallCode lowerGroup(const Op& group) {
    CallCode code;
    if (auto fill = kernels_.fills.find(&group); fill != kernels_.fills.end()) {
      const Value* value = group.escapes[0];
      code.fill = Fill{buffer(value, transform::MergedDims(value->type.dims.size(), 1)).index, bitsOf(fill->second)};
      return code;
    }
    const transform::KernelCall& call = kernels_.calls.at(&group);
    code.kernel = call.kernel;
    for (const schedule::KernelArg& arg : symbols_.at(call.kernel).args) {
      switch (arg.kind) {
      case schedule::KernelArg::Kind::Input:
        code.args.push_back(buffer(call.inputs.at(arg.index), call.dims.inputs.at(arg.index)));
        break;
      case schedule::KernelArg::Kind::Output:
        code.args.push_back(buffer(group.escapes.at(arg.index), call.dims.returns.at(arg.index)));
        break;
      case schedule::KernelArg::Kind::Symbol:
        code.args.push_back(call.size ? CallArg{CallArg::Kind::Constant, *call.size}
                                      : CallArg{CallArg::Kind::Symbol, call.symbols.at(arg.index)});
        break;
      case schedule::KernelArg::Kind::SeedLo: code.args.push_back({CallArg::Kind::SeedLo}); break;
      case schedule::KernelArg::Kind::SeedHi: code.args.push_back({CallArg::Kind::SeedHi}); break;
      case schedule::KernelArg::Kind::Step: code.args.push_back({CallArg::Kind::Step}); break;
      case schedule::KernelArg::Kind::Epoch: code.args.push_back({CallArg::Kind::Epoch}); break;
      case schedule::KernelArg::Kind::Site:
        code.args.push_back({CallArg::Kind::Constant, call.sites.at(arg.index)});
        break;
      }
    }
    return code;
  }
};

} // namespace

std::vector<graph::Function*> entriesOf(const graph::Module& module) {
  std::vector<graph::Function*> entries;
  for (const auto& function : module.functions) {
    if (function->kind != graph::FunctionKind::Helper) {
      entries.push_back(function.get());
    }
  }
  return entries;
}

StepProgram lowerSteps(const graph::Module& module, const transform::KernelTable& kernels,
                       const transform::MemoryPlan& memory, std::vector<StepProgram::KernelSymbol> symbols) {
  StepProgram program;
  for (const graph::Function* function : entriesOf(module)) {
    program.entries.push_back(EntryLowering(*function, kernels, memory.functions.at(function), symbols).run());
  }
  program.kernels = std::move(symbols);
  return program;
}

} // namespace dnn::codegen
