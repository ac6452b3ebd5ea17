#include "compiler/transform/outline_kernels.h"

#include "compiler/support/assert.h"
#include "compiler/support/hash.h"
#include "compiler/transform/share_generated.h"

#include <algorithm>
#include <map>

namespace dnn::transform {

namespace {

using graph::Expr;
using graph::ExprKind;
using graph::ExprRef;
using graph::Function;
using graph::Op;
using graph::OpKind;
using graph::Value;
using InPlaceMarks = std::vector<std::optional<uint32_t>>;

/// Copies one group into a new helper function.
class GroupCopier {
public:
  GroupCopier(graph::Module& module, const Function& from, Function& to) : module_(module), from_(from), to_(to) {}

  KernelCall run(const Op& group) {
    for (const Value* operand : group.operands) {
      if (operand->def->kind == OpKind::Env) {
        copyOp(*operand->def);
        continue;
      }
      Op* input = to_.append(OpKind::Input, {}, {copyType(operand->type)}, {});
      input->symbol = std::to_string(call_.inputs.size());
      copies_[operand] = input->results[0];
      call_.inputs.push_back(operand);
    }
    for (const Op* op : group.body_block->ops) {
      copyOp(*op);
    }
    for (const Value* escape : group.escapes) {
      to_.returns.push_back(copies_.at(escape));
    }
    return std::move(call_);
  }

private:
  graph::Module& module_;
  const Function& from_;
  Function& to_;
  KernelCall call_;
  std::unordered_map<const Value*, Value*> copies_;
  std::map<SymbolId, SymbolId> symbols_;

  /// Symbols are numbered in the order in which the kernel first uses them.
  SymbolId copySymbol(SymbolId symbol) {
    auto [entry, isNew] = symbols_.try_emplace(symbol, static_cast<SymbolId>(symbols_.size()));
    if (isNew) {
      to_.symbols.push_back({"s" + std::to_string(entry->second), from_.symbols.at(symbol).max});
      call_.symbols.push_back(symbol);
    }
    return entry->second;
  }

  uint32_t copySite(uint32_t site) {
    auto known = std::ranges::find(call_.sites, site);
    if (known == call_.sites.end()) {
      known = call_.sites.insert(known, site);
    }
    return static_cast<uint32_t>(known - call_.sites.begin());
  }

  Dim copyDim(const Dim& dim) {
    Dim copy = dim.constant();
    for (const auto& [symbol, coefficient] : dim.terms()) {
      copy = copy + Dim::symbol(copySymbol(symbol), coefficient);
    }
    return copy;
  }

  TensorType copyType(const TensorType& type) {
    TensorType copy = type;
    for (Dim& dim : copy.dims) {
      dim = copyDim(dim);
    }
    if (copy.bound) {
      copy.bound = copyDim(*copy.bound);
    }
    return copy;
  }

  std::vector<graph::IndexVar> copyIndices(const std::vector<graph::IndexVar>& indices, const char* prefix) {
    std::vector<graph::IndexVar> copy;
    for (const graph::IndexVar& index : indices) {
      copy.push_back({prefix + std::to_string(copy.size()), copyDim(index.extent)});
    }
    return copy;
  }

  ExprRef copyExpr(ExprRef root) {
    return graph::rewrite(module_.exprs, root, [&](ExprRef e, const std::vector<ExprRef>& args) -> ExprRef {
      if (e->kind == ExprKind::Extent) {
        return module_.exprs.extent(copyDim(e->extent));
      }
      if (e->kind == ExprKind::Draw) {
        return module_.exprs.draw(e->distribution, copySite(e->site), args.at(0), args.at(1));
      }
      return nullptr;
    });
  }

  void copyOp(const Op& op) {
    std::vector<Value*> operands;
    for (const Value* operand : op.operands) {
      operands.push_back(copies_.at(operand));
    }
    std::vector<TensorType> types;
    for (const Value* result : op.results) {
      types.push_back(copyType(result->type));
    }
    Op* copy = to_.append(op.kind, std::move(operands), std::move(types), {});
    copy->dims = copyIndices(op.dims, "i");
    copy->reduced = copyIndices(op.reduced, "r");
    copy->reduction = op.reduction;
    copy->body = op.body != nullptr ? copyExpr(op.body) : nullptr;
    for (ExprRef at : op.at) {
      copy->at.push_back(copyExpr(at));
    }
    copy->symbol = op.symbol;
    copy->axis = op.axis;
    for (size_t i = 0; i < op.results.size(); ++i) {
      copies_[op.results[i]] = copy->results[i];
    }
  }
};

/// The constant that the group writes to every element of its only result, or nullptr if it does anything else.
ExprRef findFill(const Op& group) {
  const auto& ops = group.body_block->ops;
  bool one = ops.size() == 1 && ops[0]->kind == OpKind::Comp && ops[0]->reduced.empty() && group.escapes.size() == 1;
  return one && ops[0]->body->kind == ExprKind::Const ? ops[0]->body : nullptr;
}

class Outliner {
public:
  Outliner(graph::Module& module, const UpdatePlacements& placements) : module_(module), placements_(placements) {}

  KernelTable run() {
    size_t entries = module_.functions.size();
    for (size_t i = 0; i < entries; ++i) {
      Function& function = *module_.functions[i];
      if (function.kind == graph::FunctionKind::Helper) {
        continue;
      }
      Roots roots(function);
      unaligned_ = unalignedRoots(function, roots);
      graph::forEachOp(function.body, [&](Op* op) {
        if (op->kind != OpKind::Group) {
          return;
        }
        if (ExprRef value = findFill(*op)) {
          table_.fills[op] = value;
          op->symbol = "fill";
        } else {
          outline(function, roots, *op);
        }
      });
    }
    return std::move(table_);
  }

private:
  graph::Module& module_;
  const UpdatePlacements& placements_;
  KernelTable table_;
  std::unordered_map<std::string, uint32_t> kernelOf_; // by text
  std::unordered_set<const Value*> unaligned_;         // of the present function

  InPlaceMarks marksOf(const Function& function, const Op& group, const KernelCall& call) const {
    InPlaceMarks marks(group.escapes.size());
    auto placement = placements_.find(&function);
    if (placement == placements_.end()) {
      return marks;
    }
    auto found = placement->second.inPlace.find(&group);
    if (found == placement->second.inPlace.end()) {
      return marks;
    }
    for (size_t i = 0; i < marks.size(); ++i) {
      if (const std::optional<uint32_t>& operand = found->second[i]) {
        const Value* value = group.operands[*operand];
        for (uint32_t input = 0; input < call.inputs.size(); ++input) {
          if (call.inputs[input] == value) {
            marks[i] = input;
          }
        }
      }
    }
    return marks;
  }

  static std::vector<SameBuffer> sharedBuffers(const schedule::Kernel& kernel) {
    std::vector<const Value*> inputs;
    for (const Op* op : kernel.function->body.ops) {
      if (op->kind == OpKind::Input) {
        inputs.push_back(op->results[0]);
      }
    }
    std::vector<SameBuffer> buffers;
    for (size_t i = 0; i < kernel.inPlace.size(); ++i) {
      if (kernel.inPlace[i]) {
        buffers.emplace_back(kernel.function->returns[i], inputs.at(*kernel.inPlace[i]));
      }
    }
    return buffers;
  }

  template <class Values> std::vector<bool> unalignedOf(const Roots& roots, const Values& values) const {
    std::vector<bool> marks;
    for (const Value* v : values) {
      marks.push_back(unaligned_.contains(roots.of(v)));
    }
    return std::ranges::find(marks, true) == marks.end() ? std::vector<bool>() : marks;
  }

  static std::string describe(const schedule::Kernel& kernel) {
    std::string text;
    for (size_t i = 0; i < kernel.inPlace.size(); ++i) {
      if (kernel.inPlace[i]) {
        text += "return " + std::to_string(i) + " over input " + std::to_string(*kernel.inPlace[i]) + "\n";
      }
    }
    auto describeUnaligned = [&](const char* what, const std::vector<bool>& marks) {
      for (size_t i = 0; i < marks.size(); ++i) {
        text += marks[i] ? what + std::to_string(i) + " anywhere\n" : "";
      }
    };
    describeUnaligned("input ", kernel.unalignedInputs);
    describeUnaligned("return ", kernel.unalignedReturns);
    return text;
  }

  void outline(const Function& function, const Roots& roots, Op& group) {
    module_.functions.push_back(std::make_unique<Function>(module_, graph::FunctionKind::Helper, "k"));
    Function& helper = *module_.functions.back();
    KernelCall call = GroupCopier(module_, function, helper).run(group);
    schedule::Kernel kernel{&helper, marksOf(function, group, call), unalignedOf(roots, call.inputs),
                            unalignedOf(roots, group.escapes)};
    kernel.once = function.kind == graph::FunctionKind::Init || function.kind == graph::FunctionKind::Generate;
    bool once = kernel.once;
    call.size = once ? makeAnySize(helper) : std::nullopt;
    if (call.size) {
      call.dims.inputs.resize(call.inputs.size());
      call.dims.returns = {{static_cast<uint32_t>(group.escapes[0]->type.dims.size())}};
    } else {
      call.dims = collapseDims(helper, sharedBuffers(kernel));
    }
    std::string text = graph::print(helper) + describe(kernel);
    auto [entry, isNew] = kernelOf_.try_emplace(text, static_cast<uint32_t>(table_.kernels.size()));
    call.kernel = entry->second;
    if (isNew) {
      helper.name = uniqueName(text);
      table_.kernels.push_back(std::move(kernel));
    } else {
      module_.functions.pop_back();
    }
    table_.kernels[call.kernel].once &= once;
    group.symbol = table_.kernels[call.kernel].function->name;
    table_.calls.emplace(&group, std::move(call));
  }

  /// Two texts with one hash get different names, as long as they come in the same order.
  std::string uniqueName(const std::string& text) const {
    uint64_t hash = hash64(text);
    while (module_.findFunction("k_" + hex16(hash)) != nullptr) {
      ++hash;
    }
    return "k_" + hex16(hash);
  }
};

} // namespace

KernelTable outlineKernels(graph::Module& module, const UpdatePlacements& placements) {
  return Outliner(module, placements).run();
}

Result<Changed> outlineKernels(graph::Module& module) {
  KernelTable table = outlineKernels(module, placeUpdates(module));
  return table.kernels.empty() ? Changed::No : Changed::Yes;
}

} // namespace dnn::transform
