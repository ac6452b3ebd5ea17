#include "compiler/autodiff/expand_grad.h"

#include "compiler/algebra/reindex.h"
#include "compiler/autodiff/adjoint.h"
#include "compiler/autodiff/inline_function.h"
#include "compiler/autodiff/scan_adjoint.h"
#include "compiler/graph/affine.h"
#include "compiler/graph/scan.h"
#include "compiler/graph/text.h"
#include "compiler/support/assert.h"

#include <algorithm>
#include <iterator>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace dnn::autodiff {

using algebra::indexRange;
using graph::Function;
using graph::IndexVar;
using graph::Module;
using graph::Op;
using graph::OpKind;
using graph::Value;

namespace {

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
  case OpKind::Distinct:
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

class Expansion {
public:
  Expansion(Function& function, const Op& grad, std::span<Op* const> around, std::unordered_set<const Op*>& derived)
      : function_(function), grad_(grad), emitter_(function), derived_(derived) {
    for (Op* scan : around) {
      for (size_t i = 0; i < scan->sliceCount; ++i) {
        slices_[graph::sliceOf(*scan, i)] = {scan, scan->operands[scan->carryCount + i]};
      }
    }
  }

  Result<ExpandedGrad> run(std::span<Op* const> before) {
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
      results_.push_back(adjoint);
    }
    graph::forEachOp({emitter_.made}, [&](const Op* op) { derived_.insert(op); });
    return ExpandedGrad{std::move(emitter_.made), std::move(results_)};
  }

private:
  /// What the slices of a scan around the grad are taken of.
  struct Sliced {
    Op* scan = nullptr;
    Value* whole = nullptr;
  };
  const Sliced* slicedBy(const Op& op) const {
    auto found = op.kind == OpKind::Slice ? slices_.find(op.results[0]) : slices_.end();
    return found == slices_.end() ? nullptr : &found->second;
  }

  Error at(const Op& op, std::string message) const {
    return {std::move(message), graph::placeOf(function_.module, op.loc)};
  }

  void findVaried(std::span<Op* const> before, std::span<Value* const> wrt) {
    varied_.insert(wrt.begin(), wrt.end());
    findVariedIn(before);
  }

  void findVariedIn(std::span<Op* const> ops) {
    for (const Op* op : ops) {
      if (op->kind == OpKind::Scan) {
        findVariedInScan(*op);
        continue;
      }
      bool depends = false;
      if (const Sliced* from = slicedBy(*op)) {
        depends = varied_.contains(from->whole);
      } else if (op->kind == OpKind::Comp || op->kind == OpKind::Scatter) {
        depends = isVaried(op->body, [&](ExprRef access) { return varied_.contains(op->operands[access->operand]); });
      } else {
        depends = std::ranges::any_of(op->operands, [&](const Value* v) { return varied_.contains(v); });
      }
      if (depends) {
        varied_.insert(op->results.begin(), op->results.end());
      }
    }
  }

  /// A carry depends on what it is at first, and on what it is next.
  void findVariedInScan(const Op& scan) {
    auto follow = [&](const Value* from, const Value* to) {
      return varied_.contains(from) && varied_.insert(to).second;
    };
    for (size_t i = 0; i < graph::firstCapture(scan); ++i) {
      follow(scan.operands[i], graph::carryOf(scan, i)); // the slices are numbered behind the carries
    }
    for (bool grows = true; grows;) {
      findVariedIn(scan.body_block->ops);
      grows = false;
      for (size_t i = 0; i < scan.carryCount; ++i) {
        grows |= follow(graph::nextsOf(scan)[i], graph::carryOf(scan, i));
      }
    }
    for (size_t i = 0; i < graph::emitsOf(scan).size(); ++i) {
      follow(graph::emitsOf(scan)[i], scan.results[i]);
    }
    for (size_t i = 0; i < scan.carryCount; ++i) {
      follow(graph::carryOf(scan, i), graph::finalOf(scan, i));
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

  Status visit(Op& op) {
    if (std::ranges::none_of(op.results, [&](const Value* v) { return reached(v); })) {
      return success();
    }
    if (const Sliced* from = slicedBy(op)) {
      visitSlice(op, *from);
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
    case OpKind::Scan: return visitScan(op);
    case OpKind::Input:
    case OpKind::Param:
    case OpKind::State:
    case OpKind::Env: return success();
    case OpKind::Grad:
    case OpKind::Distinct:
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
    if (isArg(op.reduction) || op.reduction == Reduction::Any || op.reduction == Reduction::All) {
      DNN_UNREACHABLE("integers and bools are never reached");
    }
    Result<std::vector<Contribution>> parts = adjointOf(emitter_, op, dy, varied, strict);
    if (!parts) {
      const Op* position = positionBehind(op);
      return position == nullptr ? at(op, parts.error().message)
                                 : at(*position, "an argmax or argmin is a position, which has no derivative; use "
                                                 "stop_grad or a function with its "
                                                 "own vjp");
    }
    for (const Contribution& part : *parts) {
      contribute(part.to, part.value);
    }
    return success();
  }

  /// The argmax or argmin that integers on the way to op come from; nullptr if it is something else.
  const Op* positionBehind(const Op& op) const {
    for (const Value* v : op.operands) {
      if (isFloat(v->type.dtype) || !varied_.contains(v) || v->def->kind != OpKind::Comp) {
        continue;
      }
      if (const Op* found = isArg(v->def->reduction) ? v->def : positionBehind(*v->def)) {
        return found;
      }
    }
    return nullptr;
  }

  /// The slice of step t reaches the elements with the number t of the whole.
  void visitSlice(const Op& op, const Sliced& from) {
    if (!varied_.contains(from.whole)) {
      return;
    }
    const Builder& b = emitter_.builder;
    Value* dy = adjointOfValue(op.results[0]);
    Value* counter = graph::ensureCounter(function_, *from.scan);
    std::vector<IndexVar> dims = elementIndices(from.whole->type);
    std::vector<ExprRef> rest = indexRange(b.pool(), 1, dims.size() - 1);
    ExprRef step = b.pool().access(0, DType::I32, {});
    ExprRef body = b.when(b.eq(b.pool().index(0), step), b.pool().access(1, dy->type.dtype, rest));
    contribute(from.whole,
               emitter_.comp(dims, {}, Reduction::None, body, {counter, dy}, gradientType(from.whole->type), op.loc));
  }

  Status visitReshape(const Op& op) {
    Value* dy = adjointOfValue(op.results[0]);
    Op* made = function_.createOp(OpKind::Reshape, {dy}, {gradientType(op.operands[0]->type)}, op.loc);
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
        contribute(part, emitter_.comp(dims, {}, Reduction::None, body, {dy}, gradientType(part->type), op.loc));
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
      arguments.push_back(dy != nullptr ? dy : emitter_.fill(gradientType(result->type), 0, op.loc));
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

  /// The carries whose adjoints are not always 0: those that reach something of the scan with an adjoint.
  std::vector<bool> reachedCarries(const Op& scan) const {
    std::vector<bool> carried(scan.carryCount);
    std::unordered_set<const Value*> reach;
    for (size_t i = 0; i < graph::emitsOf(scan).size(); ++i) {
      if (reached(scan.results[i])) {
        reach.insert(graph::emitsOf(scan)[i]);
      }
    }
    auto matters = [&](const Value* v) { return isFloat(v->type.dtype) && varied_.contains(v); };
    for (bool grows = true; grows;) {
      for (auto it = scan.body_block->ops.rbegin(); it != scan.body_block->ops.rend(); ++it) {
        if (std::ranges::any_of((*it)->results, [&](const Value* v) { return reach.contains(v); })) {
          std::ranges::copy_if((*it)->operands, std::inserter(reach, reach.end()), matters);
        }
      }
      grows = false;
      for (size_t i = 0; i < carried.size(); ++i) {
        const Value* carry = graph::carryOf(scan, i);
        if (!carried[i] && matters(carry) && (reached(graph::finalOf(scan, i)) || reach.contains(carry))) {
          carried[i] = grows = true;
          reach.insert(graph::nextsOf(scan)[i]);
        }
      }
    }
    return carried;
  }

  /// See scan_adjoint.h.
  Status visitScan(Op& op) {
    std::vector<size_t> carries; // with an adjoint, by number
    std::vector<size_t> emits;
    std::vector<Value*> initial;
    std::vector<Value*> sliced;
    std::vector<bool> carried = reachedCarries(op);
    for (size_t i = 0; i < carried.size(); ++i) {
      if (carried[i]) {
        Value* last = graph::finalOf(op, i);
        Value* adjoint = adjointOfValue(last);
        carries.push_back(i);
        initial.push_back(adjoint != nullptr ? adjoint : emitter_.fill(gradientType(last->type), 0, op.loc));
      }
    }
    for (size_t i = 0; i < graph::emitsOf(op).size(); ++i) {
      if (reached(op.results[i])) {
        emits.push_back(i);
        sliced.push_back(adjointOfValue(op.results[i]));
      }
    }
    Op& backward = *graph::createScan(function_, op.dims[0], !op.reversed, false, initial, sliced, op.loc);
    backward.saveEvery = op.saveEvery;

    // The body, with its own adjoints and its own place for ops.
    std::unordered_map<const Value*, std::vector<Value*>> outerAdjoints = std::exchange(adjoints_, {});
    std::vector<Op*> outerOps = std::exchange(emitter_.made, {});
    for (size_t c = 0; c < carries.size(); ++c) {
      contribute(graph::nextsOf(op)[carries[c]], graph::carryOf(backward, c));
    }
    for (size_t e = 0; e < emits.size(); ++e) {
      contribute(graph::emitsOf(op)[emits[e]], graph::sliceOf(backward, e));
    }
    const std::vector<Op*> body = op.body_block->ops;
    for (size_t i = body.size(); i-- > 0;) {
      if (Status status = visit(*body[i]); !status) {
        return status;
      }
    }
    std::vector<Value*> nexts;
    for (size_t i : carries) {
      Value* carry = graph::carryOf(op, i);
      Value* adjoint = adjointOfValue(carry);
      nexts.push_back(adjoint != nullptr ? adjoint : emitter_.fill(gradientType(carry->type), 0, op.loc));
    }
    std::vector<Value*> sliceAdjoints;
    std::vector<Value*> slicedValues;
    for (size_t i = 0; i < op.sliceCount; ++i) {
      Value* slice = graph::sliceOf(op, i);
      if (reached(slice)) {
        slicedValues.push_back(op.operands[op.carryCount + i]);
        sliceAdjoints.push_back(adjointOfValue(slice));
      }
    }
    backward.body_block->ops.insert(graph::bodyEnd(backward), emitter_.made.begin(), emitter_.made.end());
    graph::finishScan(function_, backward, nexts, sliceAdjoints);
    auto bodyAdjoints = std::exchange(adjoints_, std::move(outerAdjoints));
    emitter_.made = std::move(outerOps);
    emitter_.made.push_back(&backward);

    for (size_t c = 0; c < carries.size(); ++c) {
      contributeIfVaried(op.operands[carries[c]], graph::finalOf(backward, c));
    }
    for (size_t s = 0; s < slicedValues.size(); ++s) {
      contributeIfVaried(slicedValues[s], backward.results[s]);
    }
    ScanAdjoint connection(emitter_, op, backward);
    for (size_t i = graph::firstCapture(op); i < op.operands.size(); ++i) {
      Value* captured = op.operands[i];
      auto found = bodyAdjoints.find(captured);
      if (found != bodyAdjoints.end() && varied_.contains(captured)) {
        for (Value* part : found->second) {
          contribute(captured, connection.sumOverSteps(part));
        }
        bodyAdjoints.erase(found);
      }
    }
    connection.readSaved();
    return success();
  }

  void contributeIfVaried(Value* to, Value* part) {
    if (varied_.contains(to)) {
      contribute(to, part);
    }
  }

  Function& function_;
  const Op& grad_;
  Emitter emitter_;
  std::unordered_set<const Op*>& derived_; // ops that differentiation made
  std::vector<Value*> results_;
  std::unordered_map<const Value*, Sliced> slices_;
  std::unordered_set<const Value*> varied_;
  std::unordered_map<const Value*, std::vector<Value*>> adjoints_;
};

} // namespace

Result<ExpandedGrad> expandGrad(Function& function, const Op& grad, std::span<Op* const> before,
                                std::span<Op* const> around, std::unordered_set<const Op*>& derived) {
  return Expansion(function, grad, around, derived).run(before);
}

} // namespace dnn::autodiff
