#include "compiler/graph/graph.h"

#include "compiler/support/assert.h"

#include <algorithm>

namespace dnn::graph {

namespace {

constexpr OpInfo opTable[] = {
#define GRAPH_OP(name, spelling, operands, results) {OpKind::name, spelling, operands, results},
#include "compiler/graph/ops.def"
};

bool hasEffect(OpKind kind) { return kind == OpKind::Input || kind == OpKind::Update || kind == OpKind::Output; }

/// The ops of the block that define something needed, or have an effect. `live` holds the values needed from below.
bool eraseDead(Block& block, std::unordered_set<const Value*>& live) {
  bool changed = false;
  std::vector<Op*> kept;
  for (auto it = block.ops.rbegin(); it != block.ops.rend(); ++it) {
    Op* op = *it;
    if (op->kind == OpKind::Group) {
      changed |= eraseDead(*op->body_block, live);
      if (!op->body_block->ops.empty()) {
        kept.push_back(op);
      }
      continue;
    }
    bool used = std::ranges::any_of(op->results, [&](const Value* v) { return live.contains(v); });
    if (!used && !hasEffect(op->kind)) {
      changed = true;
      continue;
    }
    live.insert(op->operands.begin(), op->operands.end());
    kept.push_back(op);
  }
  std::ranges::reverse(kept);
  block.ops = std::move(kept);
  return changed;
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
    values_.push_back(std::make_unique<Value>());
    Value* value = values_.back().get();
    value->def = op;
    value->position = static_cast<uint32_t>(op->results.size());
    value->type = std::move(type);
    op->results.push_back(value);
  }
  if (opKind == OpKind::Group) {
    op->body_block = std::make_unique<Block>();
  }
  return op;
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
    if (op->kind != OpKind::Group) {
      for (const Value* operand : op->operands) {
        users_[operand].push_back(op);
      }
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
  bool grouped = false;
  forEachOp(function.body, [&](Op* op) {
    grouped |= op->kind == OpKind::Group;
    bool both = std::ranges::count(op->operands, from) > 0 && std::ranges::count(op->operands, to) > 0;
    std::ranges::replace(op->operands, from, to);
    if (both && op->body != nullptr) {
      normalizeOperands(function.module.exprs, *op);
    }
  });
  std::ranges::replace(function.returns, from, to);
  if (grouped) {
    refreshGroups(function);
  }
}

bool eraseDeadOps(Function& function) {
  std::unordered_set<const Value*> live(function.returns.begin(), function.returns.end());
  bool changed = eraseDead(function.body, live);
  if (changed) {
    refreshGroups(function);
  }
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

void refreshGroups(Function& function) {
  std::unordered_map<const Value*, const Op*> groupOf;
  for (const Op* op : function.body.ops) {
    if (op->kind == OpKind::Group) {
      for (const Op* inner : op->body_block->ops) {
        for (const Value* v : inner->results) {
          groupOf[v] = op;
        }
      }
    }
  }
  std::unordered_set<const Value*> escaping(function.returns.begin(), function.returns.end());
  auto note = [&](const Op* user, const Op* group) {
    for (const Value* v : user->operands) {
      auto home = groupOf.find(v);
      if (home != groupOf.end() && home->second != group) {
        escaping.insert(v);
      }
    }
  };
  for (Op* op : function.body.ops) {
    if (op->kind != OpKind::Group) {
      note(op, nullptr);
      continue;
    }
    op->operands.clear();
    for (Op* inner : op->body_block->ops) {
      note(inner, op);
      for (Value* v : inner->operands) {
        auto home = groupOf.find(v);
        bool outside = home == groupOf.end() || home->second != op;
        if (outside && std::ranges::find(op->operands, v) == op->operands.end()) {
          op->operands.push_back(v);
        }
      }
    }
  }
  for (Op* op : function.body.ops) {
    if (op->kind == OpKind::Group) {
      op->escapes.clear();
      for (Op* inner : op->body_block->ops) {
        std::ranges::copy_if(inner->results, std::back_inserter(op->escapes),
                             [&](const Value* v) { return escaping.contains(v); });
      }
    }
  }
}

} // namespace dnn::graph
