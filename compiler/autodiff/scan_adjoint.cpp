#include "compiler/autodiff/scan_adjoint.h"

#include "compiler/algebra/reindex.h"
#include "compiler/autodiff/over_steps.h"
#include "compiler/graph/scan.h"

#include <algorithm>

namespace dnn::autodiff {

using graph::IndexVar;
using graph::Op;
using graph::OpKind;
using graph::Value;

namespace {

std::unordered_set<const Value*> valuesOf(const Op& scan) {
  std::unordered_set<const Value*> values;
  for (const Op* op : scan.body_block->ops) {
    values.insert(op->results.begin(), op->results.end());
  }
  return values;
}

size_t argumentNumber(const Op& scan, const Value* slice) {
  size_t i = 0;
  while (graph::sliceOf(scan, i) != slice) {
    ++i;
  }
  return i;
}

} // namespace

ScanAdjoint::ScanAdjoint(Emitter& emitter, Op& forward, Op& backward)
    : emitter_(emitter), forward_(forward), backward_(backward), forwardValues_(valuesOf(forward)),
      backwardValues_(valuesOf(backward)) {}

bool ScanAdjoint::isCounter(const Value* v) const {
  return v->def->kind == OpKind::Counter && (forwardValues_.contains(v) || backwardValues_.contains(v));
}

/// The result of the scan that has v at each step.
Value* ScanAdjoint::emitted(Op& scan, Value* v) {
  if (v->def->kind == OpKind::Slice) {
    return scan.operands[scan.carryCount + argumentNumber(scan, v)];
  }
  const std::vector<Value*>& emits = graph::emitsOf(scan);
  auto found = std::ranges::find(emits, v);
  if (found != emits.end()) {
    return scan.results[static_cast<size_t>(found - emits.begin())];
  }
  Value* stack = graph::addEmit(emitter_.function, scan, v);
  stack->name = v->name.empty() ? "" : v->name + "_steps";
  return stack;
}

/// All steps' values of v, stacked; nullptr for a value from outside of the loop.
Value* ScanAdjoint::stackOf(Value* v) {
  if (forwardValues_.contains(v)) {
    return emitted(forward_, v);
  }
  return backwardValues_.contains(v) ? emitted(backward_, v) : nullptr;
}

ExprRef ScanAdjoint::lifted(ExprRef e, const Op& op, std::vector<Value*>& operands, uint32_t step) {
  StepValues values{[&](const Value* v) { return isCounter(v); }, [&](Value* v) { return stackOf(v); }};
  return overSteps(emitter_.builder.pool(), e, op, operands, step, values);
}

Value* ScanAdjoint::liftComp(const Op& op) {
  std::vector<IndexVar> reduced = op.reduced;
  reduced.insert(reduced.begin(), forward_.dims[0]);
  std::vector<Value*> operands;
  ExprRef body = lifted(op.body, op, operands, static_cast<uint32_t>(op.dims.size()));
  return emitter_.comp(op.dims, reduced, Reduction::Add, body, operands, op.results[0]->type, op.loc);
}

Value* ScanAdjoint::liftScatter(const Op& op) {
  std::vector<IndexVar> dims = op.dims;
  dims.insert(dims.begin(), forward_.dims[0]);
  std::vector<Value*> operands;
  std::vector<ExprRef> at;
  for (ExprRef place : op.at) {
    at.push_back(lifted(place, op, operands, 0));
  }
  ExprRef body = lifted(op.body, op, operands, 0);
  return emitter_.scatter(op.results[0]->type, dims, at, body, operands, op.loc);
}

Value* ScanAdjoint::sumOfStack(Value* part) {
  ExprPool& pool = emitter_.builder.pool();
  std::vector<IndexVar> dims = elementIndices(part->type);
  auto step = static_cast<uint32_t>(dims.size());
  std::vector<ExprRef> subscripts = algebra::indexRange(pool, 0, dims.size());
  Value* stack = stackOf(part);
  if (stack != nullptr) {
    subscripts.insert(subscripts.begin(), pool.index(step));
  }
  ExprRef body = pool.access(0, part->type.dtype, subscripts);
  return emitter_.comp(dims, {forward_.dims[0]}, Reduction::Add, body, {stack != nullptr ? stack : part}, part->type,
                       part->def->loc);
}

/// A carry of the backward scan that adds up the part.
Value* ScanAdjoint::accumulated(Value* part) {
  graph::Function& function = emitter_.function;
  std::vector<Op*>& made = emitter_.made;
  Value* zero = emitter_.fill(part->type, 0, part->def->loc);
  made.insert(std::ranges::find(made, &backward_), zero->def);
  made.pop_back();
  Value* before = graph::addCarry(function, backward_, zero, part);
  Value* sum = emitter_.sum(before, part, part->def->loc);
  backward_.body_block->ops.insert(graph::bodyEnd(backward_), sum->def);
  made.pop_back();
  graph::nextsOf(backward_).back() = sum;
  return graph::finalOf(backward_, backward_.carryCount - 1);
}

Value* ScanAdjoint::sumOverSteps(Value* part) {
  if (forward_.saveEvery == 1 && forward_.dims[0].extent != Dim(1)) {
    return accumulated(part);
  }
  const Op& op = *part->def;
  if (backwardValues_.contains(part)) {
    if (op.kind == OpKind::Comp && (op.reduction == Reduction::None || op.reduction == Reduction::Add)) {
      return liftComp(op);
    }
    if (op.kind == OpKind::Scatter) {
      return liftScatter(op);
    }
    if (op.kind == OpKind::Reshape) {
      Value* sum = sumOverSteps(op.operands[0]);
      Op* made = emitter_.function.createOp(OpKind::Reshape, {sum}, {part->type}, op.loc);
      emitter_.made.push_back(made);
      return made->results[0];
    }
  }
  return sumOfStack(part);
}

/// The argument of the backward body that is v of the forward body at each step.
Value* ScanAdjoint::argumentFor(Value* v) {
  Value* argument = isCounter(v) ? graph::ensureCounter(emitter_.function, backward_)
                                 : graph::addSlice(emitter_.function, backward_, emitted(forward_, v));
  argument->name = v->name.empty() ? "" : v->name + "_saved";
  return argument;
}

void ScanAdjoint::replaceInBackward(const std::unordered_map<const Value*, Value*>& values) {
  graph::forEachOp(*backward_.body_block, [&](Op* op) {
    for (Value*& v : op->operands) {
      if (auto found = values.find(v); found != values.end()) {
        v = found->second;
      }
    }
  });
}

/// The ops of the forward body that the used values need, once more at the head of the backward body.
void ScanAdjoint::computeAgain(const std::vector<Value*>& used) {
  const std::vector<Op*>& body = forward_.body_block->ops;
  std::unordered_set<const Value*> needed(used.begin(), used.end());
  std::vector<const Op*> again; // in reverse
  std::unordered_map<const Value*, Value*> values;
  for (auto op = body.rbegin(); op != body.rend(); ++op) {
    if (std::ranges::none_of((*op)->results, [&](const Value* v) { return needed.contains(v); })) {
      continue;
    }
    bool argument = (*op)->kind == OpKind::Counter || (*op)->kind == OpKind::Carry || (*op)->kind == OpKind::Slice;
    if (argument) {
      values[(*op)->results[0]] = argumentFor((*op)->results[0]);
    } else {
      needed.insert((*op)->operands.begin(), (*op)->operands.end());
      again.push_back(*op);
    }
  }
  std::vector<Op*> copies;
  for (auto op = again.rbegin(); op != again.rend(); ++op) {
    copies.push_back(graph::copyOp(emitter_.function, **op, values));
  }
  replaceInBackward(values);
  size_t arguments = graph::firstCapture(backward_) + (graph::counterOf(backward_) != nullptr ? 1 : 0);
  std::vector<Op*>& ops = backward_.body_block->ops;
  ops.insert(ops.begin() + static_cast<std::ptrdiff_t>(arguments), copies.begin(), copies.end());
}

void ScanAdjoint::readSaved() {
  std::vector<Value*> used;
  graph::forEachOp(*backward_.body_block, [&](const Op* op) {
    for (Value* v : op->operands) {
      if (forwardValues_.contains(v) && std::ranges::find(used, v) == used.end()) {
        used.push_back(v);
      }
    }
  });
  if (forward_.saveEvery == 1) {
    computeAgain(used);
  } else {
    std::unordered_map<const Value*, Value*> arguments;
    for (Value* v : used) {
      arguments[v] = argumentFor(v);
    }
    replaceInBackward(arguments);
  }
  backward_.operands.resize(graph::firstCapture(backward_));
  std::vector<Value*> captures = graph::capturesOf(backward_);
  backward_.operands.insert(backward_.operands.end(), captures.begin(), captures.end());
}

} // namespace dnn::autodiff
