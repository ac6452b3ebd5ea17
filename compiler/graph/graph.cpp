#include "compiler/graph/graph.h"

#include "compiler/graph/scan.h"
#include "compiler/support/assert.h"

#include <algorithm>

namespace dnn::graph {

namespace {

constexpr OpInfo opTable[] = {
#define GRAPH_OP(name, spelling, operands, results) {OpKind::name, spelling, operands, results},
#include "compiler/graph/ops.def"
};

/// Ops that stay although nobody uses a result: they have an effect, belong to a signature, or end a scan's body.
bool stays(OpKind kind) {
  switch (kind) {
  case OpKind::Input:
  case OpKind::Update:
  case OpKind::Output:
  case OpKind::Counter:
  case OpKind::Carry:
  case OpKind::Slice:
  case OpKind::Next:
  case OpKind::Emit: return true;
  case OpKind::Param:
  case OpKind::State:
  case OpKind::Env:
  case OpKind::Comp:
  case OpKind::Scatter:
  case OpKind::Reshape:
  case OpKind::Concat:
  case OpKind::Distinct:
  case OpKind::CallVjp:
  case OpKind::Grad:
  case OpKind::Group:
  case OpKind::Scan: return false;
  }
  DNN_UNREACHABLE("every kind of op stays or not");
}

/// Removes what computes nothing that is needed. The set holds the values needed, and grows upwards.
class DeadOps {
public:
  explicit DeadOps(const std::vector<Value*>& returns) : live_(returns.begin(), returns.end()) {}

  /// The ops of the block that define something needed, or stay.
  bool erase(Block& block) {
    bool changed = false;
    std::vector<Op*> kept;
    for (auto it = block.ops.rbegin(); it != block.ops.rend(); ++it) {
      Op* op = *it;
      if (op->kind == OpKind::Group) {
        changed |= erase(*op->body_block);
        if (!op->body_block->ops.empty()) {
          kept.push_back(op);
        }
        continue;
      }
      if (!anyLive(op->results) && !stays(op->kind)) {
        changed = true;
        continue;
      }
      if (op->kind == OpKind::Scan) {
        changed |= eraseInScan(*op);
      }
      live_.insert(op->operands.begin(), op->operands.end());
      kept.push_back(op);
    }
    std::ranges::reverse(kept);
    block.ops = std::move(kept);
    return changed;
  }

private:
  bool isLive(const Value* v) const { return live_.contains(v); }
  bool anyLive(const std::vector<Value*>& values) const {
    return std::ranges::any_of(values, [&](const Value* v) { return isLive(v); });
  }

  bool eraseInScan(Op& scan) {
    std::vector<bool> carried = liveCarries(scan);
    bool changed = false;
    for (size_t i = emitsOf(scan).size(); i-- > 0;) {
      if (!isLive(scan.results[i])) {
        removeEmit(scan, i);
        changed = true;
      }
    }
    for (size_t i = scan.carryCount; i-- > 0;) {
      if (!carried[i]) {
        removeCarry(scan, i);
        changed = true;
      }
    }
    changed |= erase(*scan.body_block);
    for (size_t i = scan.sliceCount; i-- > 0;) {
      if (!isLive(sliceOf(scan, i))) {
        removeSlice(scan, i);
        changed = true;
      }
    }
    if (const Value* counter = counterOf(scan); counter != nullptr && !isLive(counter)) {
      scan.body_block->ops.erase(scan.body_block->ops.begin());
      changed = true;
    }
    scan.operands.resize(firstCapture(scan)); // what it captures lives by its body's ops; refreshed in the end
    return changed;
  }

  /// A carry is needed if its last value is, or if its value is needed for an emitted one or for another such carry.
  std::vector<bool> liveCarries(const Op& scan) const {
    std::unordered_set<const Value*> needed;
    for (size_t i = 0; i < emitsOf(scan).size(); ++i) {
      if (isLive(scan.results[i])) {
        needed.insert(emitsOf(scan)[i]);
      }
    }
    std::vector<bool> carried(scan.carryCount);
    for (bool grows = true; grows;) {
      for (auto it = scan.body_block->ops.rbegin(); it != scan.body_block->ops.rend(); ++it) {
        need(**it, needed);
      }
      grows = false;
      for (size_t i = 0; i < carried.size(); ++i) {
        bool ends = scan.ends && i == 0;
        if (!carried[i] && (ends || isLive(finalOf(scan, i)) || needed.contains(carryOf(scan, i)))) {
          carried[i] = grows = true;
          needed.insert(nextsOf(scan)[i]);
        }
      }
    }
    return carried;
  }

  static void need(const Op& op, std::unordered_set<const Value*>& needed) {
    const std::vector<Value*>& results = op.kind == OpKind::Group ? op.escapes : op.results;
    if (std::ranges::any_of(results, [&](const Value* v) { return needed.contains(v); })) {
      needed.insert(op.operands.begin(), op.operands.end());
    }
  }

  std::unordered_set<const Value*> live_;
};

/// The innermost group or scan that defines each value.
using Homes = std::unordered_map<const Value*, const Op*>;

void findHomes(const Block& block, const Op* region, Homes& homes) {
  for (const Op* op : block.ops) {
    for (const Value* v : op->results) {
      homes[v] = region;
    }
    if (op->body_block) {
      findHomes(*op->body_block, op, homes);
    }
  }
}

/// Values of groups that ops outside of them use.
void findEscaping(const Block& block, const Op* region, const Homes& homes,
                  std::unordered_set<const Value*>& escaping) {
  for (const Op* op : block.ops) {
    if (op->kind != OpKind::Group) {
      for (const Value* v : op->operands) {
        auto home = homes.find(v);
        if (home != homes.end() && home->second != nullptr && home->second != region) {
          escaping.insert(v);
        }
      }
    }
    if (op->body_block) {
      findEscaping(*op->body_block, op, homes, escaping);
    }
  }
}

} // namespace

const OpInfo& infoOf(OpKind kind) { return opTable[static_cast<size_t>(kind)]; }

std::string_view nameOf(OpKind kind) { return infoOf(kind).spelling; }

std::string_view nameOf(FunctionKind kind) {
  switch (kind) {
  case FunctionKind::Init: return "init";
  case FunctionKind::Step: return "step";
  case FunctionKind::Eval: return "eval";
  case FunctionKind::Predict: return "predict";
  case FunctionKind::Generate: return "generate";
  case FunctionKind::Helper: return "helper";
  }
  DNN_UNREACHABLE("every kind of function has a name");
}

std::string_view nameOf(Persistent::Kind kind) {
  switch (kind) {
  case Persistent::Kind::Parameter: return "param";
  case Persistent::Kind::State: return "state";
  case Persistent::Kind::OptimizerState: return "optimizer_state";
  }
  DNN_UNREACHABLE("every kind of persistent tensor has a name");
}

Op* Function::createOp(OpKind opKind, std::vector<Value*> operands, std::vector<TensorType> resultTypes, Loc loc) {
  ops_.push_back(std::make_unique<Op>());
  Op* op = ops_.back().get();
  op->kind = opKind;
  op->operands = std::move(operands);
  op->loc = loc;
  for (TensorType& type : resultTypes) {
    addResult(*op, std::move(type));
  }
  if (opKind == OpKind::Group || opKind == OpKind::Scan) {
    op->body_block = std::make_unique<Block>();
  }
  return op;
}

Value* Function::addResult(Op& op, TensorType type) {
  values_.push_back(std::make_unique<Value>());
  Value* value = values_.back().get();
  value->def = &op;
  value->position = static_cast<uint32_t>(op.results.size());
  value->type = std::move(type);
  op.results.push_back(value);
  return value;
}

Op* Function::append(OpKind opKind, std::vector<Value*> operands, std::vector<TensorType> resultTypes, Loc loc) {
  Op* op = createOp(opKind, std::move(operands), std::move(resultTypes), loc);
  body.ops.push_back(op);
  return op;
}

Function* Module::findFunction(std::string_view name) const {
  for (const auto& function : functions) {
    if (function->name == name) {
      return function.get();
    }
  }
  return nullptr;
}

const Persistent* Module::findPersistent(std::string_view path) const {
  for (const Persistent& persistent : persistents) {
    if (persistent.path == path) {
      return &persistent;
    }
  }
  return nullptr;
}

Function& Module::addFunction(FunctionKind kind, std::string name) {
  functions.push_back(std::make_unique<Function>(*this, kind, std::move(name)));
  return *functions.back();
}

Uses::Uses(const Function& function) {
  forEachOp(function.body, [&](Op* op) {
    size_t own = op->kind == OpKind::Group ? 0 : op->kind == OpKind::Scan ? firstCapture(*op) : op->operands.size();
    for (size_t i = 0; i < own; ++i) {
      users_[op->operands[i]].push_back(op);
    }
  });
  returned_.insert(function.returns.begin(), function.returns.end());
}

const std::vector<Op*>& Uses::of(const Value* v) const {
  static const std::vector<Op*> none;
  auto found = users_.find(v);
  return found == users_.end() ? none : found->second;
}

void replaceAllUses(Function& function, Value* from, Value* to) {
  bool regions = false;
  forEachOp(function.body, [&](Op* op) {
    regions |= op->body_block != nullptr;
    bool both = std::ranges::count(op->operands, from) > 0 && std::ranges::count(op->operands, to) > 0;
    std::ranges::replace(op->operands, from, to);
    if (both && op->body != nullptr) {
      normalizeOperands(function.module.exprs, *op);
    }
  });
  std::ranges::replace(function.returns, from, to);
  if (regions) {
    refreshRegions(function);
  }
}

bool eraseDeadOps(Function& function) {
  refreshRegions(function); // which carries are needed depends on what inner scans capture
  bool changed = DeadOps(function.returns).erase(function.body);
  refreshRegions(function);
  return changed;
}

void normalizeOperands(ExprPool& pool, Op& op) {
  DNN_ASSERT(op.kind == OpKind::Comp || op.kind == OpKind::Scatter, "only ops with a body access operands");
  std::vector<Value*> kept;
  auto renumber = [&](ExprRef root) {
    return rewrite(pool, root, [&](ExprRef e, const std::vector<ExprRef>& args) -> ExprRef {
      if (e->kind != ExprKind::Access) {
        return nullptr;
      }
      Value* value = op.operands[e->operand];
      auto found = std::ranges::find(kept, value);
      uint32_t position = static_cast<uint32_t>(found - kept.begin());
      if (found == kept.end()) {
        kept.push_back(value);
      }
      return pool.access(position, e->dtype, args, e->fill);
    });
  };
  // In the order in which the text names them: scatter prints its subscripts before its body.
  for (ExprRef& subscript : op.at) {
    subscript = renumber(subscript);
  }
  op.body = renumber(op.body);
  op.operands = std::move(kept);
}

Op* copyOp(Function& function, const Op& op, std::unordered_map<const Value*, Value*>& values) {
  DNN_ASSERT(op.kind != OpKind::Group, "what is copied is not fused yet");
  std::vector<Value*> operands;
  for (Value* operand : op.operands) {
    auto found = values.find(operand);
    operands.push_back(found == values.end() ? operand : found->second);
  }
  std::vector<TensorType> types;
  for (const Value* value : op.results) {
    types.push_back(value->type);
  }
  Op* made = function.createOp(op.kind, std::move(operands), std::move(types), op.loc);
  made->dims = op.dims;
  made->reduced = op.reduced;
  made->reduction = op.reduction;
  made->body = op.body;
  made->at = op.at;
  made->symbol = op.symbol;
  made->axis = op.axis;
  made->reversed = op.reversed;
  made->saveEvery = op.saveEvery;
  made->ends = op.ends;
  made->carryCount = op.carryCount;
  made->sliceCount = op.sliceCount;
  if (op.body_block) {
    for (const Op* inner : op.body_block->ops) {
      made->body_block->ops.push_back(copyOp(function, *inner, values));
    }
  }
  for (size_t i = 0; i < op.results.size(); ++i) {
    made->results[i]->name = op.results[i]->name;
    values[op.results[i]] = made->results[i];
  }
  return made;
}

void refreshRegions(Function& function) {
  if (std::ranges::none_of(function.body.ops, [](const Op* op) { return op->body_block != nullptr; })) {
    return;
  }
  Homes homes;
  findHomes(function.body, nullptr, homes);
  forEachOp(function.body, [&](Op* op) {
    if (op->kind == OpKind::Scan) {
      op->operands.resize(firstCapture(*op));
      std::vector<Value*> captures = capturesOf(*op);
      op->operands.insert(op->operands.end(), captures.begin(), captures.end());
    } else if (op->kind == OpKind::Group) {
      op->operands.clear();
      for (Op* inner : op->body_block->ops) {
        for (Value* v : inner->operands) {
          auto home = homes.find(v);
          bool outside = home == homes.end() || home->second != op;
          if (outside && std::ranges::find(op->operands, v) == op->operands.end()) {
            op->operands.push_back(v);
          }
        }
      }
    }
  });
  std::unordered_set<const Value*> escaping(function.returns.begin(), function.returns.end());
  findEscaping(function.body, nullptr, homes, escaping);
  forEachOp(function.body, [&](Op* op) {
    if (op->kind == OpKind::Group) {
      op->escapes.clear();
      for (Op* inner : op->body_block->ops) {
        std::ranges::copy_if(inner->results, std::back_inserter(op->escapes),
                             [&](const Value* v) { return escaping.contains(v); });
      }
    }
  });
}

} // namespace dnn::graph
