#include "compiler/autodiff/expand_grads.h"

#include "compiler/algebra/reindex.h"
#include "compiler/autodiff/adjoint.h"
#include "compiler/autodiff/inline_function.h"
#include "compiler/graph/affine.h"
#include "compiler/support/assert.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

namespace dnn::autodiff {

using algebra::indexRange;
using graph::Function;
using graph::IndexVar;
using graph::Loc;
using graph::Module;
using graph::Op;
using graph::OpKind;
using graph::Value;

namespace {

std::string placeOf(const Module& module, Loc loc) {
  if (loc.line == 0 || loc.file >= module.files.size()) {
    return "";
  }
  return module.files[loc.file] + ":" + std::to_string(loc.line) + ":" + std::to_string(loc.column);
}

/// What the user would call a value.
std::string describe(const Value& value) {
  switch (value.def->kind) {
  case OpKind::Param:
  case OpKind::State: return "`" + value.def->symbol + "`";
  case OpKind::Input: return "input `" + value.def->symbol + "`";
  case OpKind::Env:
  case OpKind::Comp:
  case OpKind::Scatter:
  case OpKind::Reshape:
  case OpKind::Concat:
  case OpKind::CallVjp:
  case OpKind::Grad:
  case OpKind::Update:
  case OpKind::Output:
  case OpKind::Group:
  case OpKind::Scan:
  case OpKind::Counter:
  case OpKind::Carry:
  case OpKind::Slice:
  case OpKind::Next:
  case OpKind::Emit: return value.name.empty() ? "a value" : "`" + value.name + "`";
  }
  DNN_UNREACHABLE("every kind of op is handled");
}

/// Expands one grad op.
class Expansion {
public:
  Expansion(Function& function, const Op& grad, std::unordered_set<const Op*>& derived)
      : function_(function), grad_(grad), emitter_(function), derived_(derived) {}

  /// The ops to put in the grad's place; results_[i] then replaces its i-th result.
  Result<std::vector<Op*>> run(std::span<Op* const> before) {
    Value* loss = grad_.operands[0];
    std::span wrt(grad_.operands.begin() + 1, grad_.operands.end());
    findVaried(before, wrt);
    if (!loss->type.isScalar() || !isFloat(loss->type.dtype)) {
      return at(grad_, "the loss must be a float scalar");
    }
    if (varied_.contains(loss)) {
      adjoints_[loss] = {emitter_.fill(loss->type, 1, grad_.loc)};
    }
    for (size_t i = before.size(); i-- > 0;) {
      if (Status status = visit(*before[i]); !status) {
        return status.error();
      }
    }
    for (Value* value : wrt) {
      Value* adjoint = adjointOfValue(value);
      if (adjoint == nullptr) {
        return at(grad_, "the loss does not depend on " + describe(*value));
      }
      results.push_back(adjoint);
    }
    derived_.insert(emitter_.made.begin(), emitter_.made.end());
    return std::move(emitter_.made);
  }

  std::vector<Value*> results;

private:
  Error at(const Op& op, std::string message) const { return {std::move(message), placeOf(function_.module, op.loc)}; }

  void findVaried(std::span<Op* const> before, std::span<Value* const> wrt) {
    varied_.insert(wrt.begin(), wrt.end());
    for (const Op* op : before) {
      bool depends = false;
      if (op->kind == OpKind::Comp || op->kind == OpKind::Scatter) {
        depends = isVaried(op->body, [&](ExprRef access) { return varied_.contains(op->operands[access->operand]); });
      } else {
        depends = std::ranges::any_of(op->operands, [&](const Value* v) { return varied_.contains(v); });
      }
      if (depends) {
        varied_.insert(op->results.begin(), op->results.end());
      }
    }
  }

  /// The sum of what has been contributed to value; nullptr if nothing was.
  Value* adjointOfValue(Value* value) {
    auto found = adjoints_.find(value);
    if (found == adjoints_.end()) {
      return nullptr;
    }
    std::vector<Value*>& parts = found->second;
    while (parts.size() > 1) {
      parts[0] = emitter_.sum(parts[0], parts[1], value->def->loc);
      parts.erase(parts.begin() + 1);
    }
    std::string name = value->def->kind == OpKind::Param ? value->def->symbol : value->name;
    if (parts[0]->name.empty() && !name.empty()) {
      parts[0]->name = "d_" + name.substr(name.find_last_of("./") + 1); // npos + 1 is 0
    }
    return parts[0];
  }

  void contribute(Value* to, Value* part) { adjoints_[to].push_back(part); }
  bool reached(const Value* value) const { return adjoints_.contains(value) && varied_.contains(value); }

  Status visit(const Op& op) {
    if (std::ranges::none_of(op.results, [&](const Value* v) { return reached(v); })) {
      return success();
    }
    bool through = std::ranges::any_of(op.operands, [&](const Value* v) { return varied_.contains(v); });
    if (!through) {
      return success(); // a leaf: one of the values that the gradient is taken with respect to
    }
    switch (op.kind) {
    case OpKind::Comp:
    case OpKind::Scatter: return visitTensorForm(op);
    case OpKind::Reshape: return visitReshape(op);
    case OpKind::Concat: return visitConcat(op);
    case OpKind::CallVjp: return visitCall(op);
    case OpKind::Scan: return at(op, "a scan has no derivative yet");
    case OpKind::Input:
    case OpKind::Param:
    case OpKind::State:
    case OpKind::Env: return success();
    case OpKind::Grad:
    case OpKind::Update:
    case OpKind::Output:
    case OpKind::Group:
    case OpKind::Counter:
    case OpKind::Carry:
    case OpKind::Slice:
    case OpKind::Next:
    case OpKind::Emit: break;
    }
    DNN_UNREACHABLE("grads before this one are expanded, groups are made later, the rest has no results");
  }

  Status visitTensorForm(const Op& op) {
    Value* dy = adjointOfValue(op.results[0]);
    auto varied = [&](const Value* v) { return varied_.contains(v); };
    bool strict = !derived_.contains(&op);
    if (op.reduction == Reduction::ArgMax || op.reduction == Reduction::ArgMin || op.reduction == Reduction::Any ||
        op.reduction == Reduction::All) {
      DNN_UNREACHABLE("integers and bools are never reached");
    }
    Result<std::vector<Contribution>> parts = adjointOf(emitter_, op, dy, varied, strict);
    if (!parts) {
      return at(op, parts.error().message);
    }
    for (const Contribution& part : *parts) {
      contribute(part.to, part.value);
    }
    return success();
  }

  Status visitReshape(const Op& op) {
    Value* dy = adjointOfValue(op.results[0]);
    Op* made = function_.createOp(OpKind::Reshape, {dy}, {op.operands[0]->type}, op.loc);
    emitter_.made.push_back(made);
    contribute(op.operands[0], made->results[0]);
    return success();
  }

  /// Each part takes its slice.
  Status visitConcat(const Op& op) {
    Value* dy = adjointOfValue(op.results[0]);
    const Builder& b = emitter_.builder;
    Dim offset(0);
    for (Value* part : op.operands) {
      if (varied_.contains(part)) {
        std::vector<IndexVar> dims = elementIndices(part->type);
        std::vector<ExprRef> subscripts = indexRange(b.pool(), 0, dims.size());
        subscripts[op.axis] = b.add(subscripts[op.axis], graph::toExpr(b.pool(), {offset, {}}));
        ExprRef body = b.pool().access(0, dy->type.dtype, subscripts);
        contribute(part, emitter_.comp(dims, {}, Reduction::None, body, {dy}, part->type, op.loc));
      }
      offset = offset + part->type.dims[op.axis];
    }
    return success();
  }

  /// The function's own rule takes the operands and the adjoints of the results, and gives those of the float operands.
  Status visitCall(const Op& op) {
    const Function* rule = function_.module.findFunction(op.symbol + ".vjp");
    DNN_ASSERT(rule != nullptr, "a called function has its rule");
    std::vector<Value*> arguments = op.operands;
    for (Value* result : op.results) {
      if (!isFloat(result->type.dtype)) {
        continue;
      }
      Value* dy = adjointOfValue(result);
      arguments.push_back(dy != nullptr ? dy : emitter_.fill(result->type, 0, op.loc));
    }
    Inlined inlined = inlineFunction(function_, *rule, arguments);
    emitter_.made.insert(emitter_.made.end(), inlined.ops.begin(), inlined.ops.end());
    size_t next = 0;
    for (Value* operand : op.operands) {
      if (!isFloat(operand->type.dtype)) {
        continue;
      }
      DNN_ASSERT(next < inlined.returns.size(), "a rule returns one adjoint for each float operand");
      Value* part = inlined.returns[next++];
      if (varied_.contains(operand)) {
        contribute(operand, part);
      }
    }
    return success();
  }

  Function& function_;
  const Op& grad_;
  Emitter emitter_;
  std::unordered_set<const Op*>& derived_; // ops that differentiation made
  std::unordered_set<const Value*> varied_;
  std::unordered_map<const Value*, std::vector<Value*>> adjoints_;
};

/// Reads of one parameter are one value, so that a gradient with respect to it sees all of them.
bool mergeReads(Function& function) {
  std::map<std::string, Value*> first;
  bool changed = false;
  for (Op* op : function.body.ops) {
    if (op->kind == OpKind::Param || op->kind == OpKind::State) {
      auto [known, inserted] = first.try_emplace(op->symbol, op->results[0]);
      if (!inserted) {
        graph::replaceAllUses(function, op->results[0], known->second);
        changed = true;
      }
    }
  }
  return changed;
}

} // namespace

Result<bool> expandGrads(Module& module) {
  bool changed = false;
  for (const auto& function : module.functions) {
    std::unordered_set<const Op*> derived;
    auto& ops = function->body.ops;
    bool any = std::ranges::any_of(ops, [](const Op* op) { return op->kind == OpKind::Grad; });
    if (!any) {
      continue;
    }
    mergeReads(*function);
    for (size_t i = 0; i < ops.size(); ++i) {
      Op* grad = ops[i];
      if (grad->kind != OpKind::Grad) {
        continue;
      }
      Expansion expansion(*function, *grad, derived);
      Result<std::vector<Op*>> made = expansion.run(std::span(ops).first(i));
      if (!made) {
        return made.error();
      }
      for (size_t r = 0; r < grad->results.size(); ++r) {
        graph::replaceAllUses(*function, grad->results[r], expansion.results[r]);
      }
      ops.erase(ops.begin() + static_cast<std::ptrdiff_t>(i));
      ops.insert(ops.begin() + static_cast<std::ptrdiff_t>(i), made->begin(), made->end());
      i += made->size() - 1;
      changed = true;
    }
  }
  return changed;
}

} // namespace dnn::autodiff
