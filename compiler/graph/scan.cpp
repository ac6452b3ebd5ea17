#include "compiler/graph/scan.h"

#include "compiler/support/assert.h"

#include <algorithm>

namespace dnn::graph {

namespace {

void renumber(std::vector<Value*>& results) {
  for (size_t i = 0; i < results.size(); ++i) {
    results[i]->position = static_cast<uint32_t>(i);
  }
}

template <class T> auto at(std::vector<T>& items, size_t i) { return items.begin() + static_cast<std::ptrdiff_t>(i); }

size_t firstCarry(const Op& scan) {
  const std::vector<Op*>& ops = scan.body_block->ops;
  return !ops.empty() && ops[0]->kind == OpKind::Counter ? 1 : 0;
}

/// A new result at this place among the others.
Value* insertResult(Function& function, Op& scan, size_t place, TensorType type) {
  Value* value = function.addResult(scan, std::move(type));
  std::rotate(at(scan.results, place), scan.results.end() - 1, scan.results.end());
  renumber(scan.results);
  return value;
}

void eraseResult(Op& scan, size_t place) {
  scan.results.erase(at(scan.results, place));
  renumber(scan.results);
}

Value* insertArgument(Function& function, Op& scan, OpKind kind, size_t place, TensorType type) {
  Op* argument = function.createOp(kind, {}, {std::move(type)}, scan.loc);
  scan.body_block->ops.insert(at(scan.body_block->ops, place), argument);
  return argument->results[0];
}

} // namespace

Op* createScan(Function& function, IndexVar step, bool reversed, bool counter, std::vector<Value*> initial,
               std::vector<Value*> sliced, Loc loc) {
  Op* scan = function.createOp(OpKind::Scan, {}, {}, loc);
  scan->dims = {std::move(step)};
  scan->reversed = reversed;
  std::vector<Op*>& body = scan->body_block->ops;
  if (counter) {
    TensorType type{DType::I32, {}, scan->dims[0].extent};
    body.push_back(function.createOp(OpKind::Counter, {}, {type}, loc));
  }
  for (const Value* v : initial) {
    body.push_back(function.createOp(OpKind::Carry, {}, {v->type}, loc));
  }
  for (const Value* v : sliced) {
    body.push_back(function.createOp(OpKind::Slice, {}, {sliceType(v->type)}, loc));
  }
  body.push_back(function.createOp(OpKind::Next, {}, {}, loc));
  body.push_back(function.createOp(OpKind::Emit, {}, {}, loc));
  scan->carryCount = static_cast<uint32_t>(initial.size());
  scan->sliceCount = static_cast<uint32_t>(sliced.size());
  scan->operands = std::move(initial);
  scan->operands.insert(scan->operands.end(), sliced.begin(), sliced.end());
  return scan;
}

std::vector<Op*>::iterator bodyEnd(const Op& scan) { return scan.body_block->ops.end() - 2; }

void finishScan(Function& function, Op& scan, std::vector<Value*> nexts, std::vector<Value*> emits) {
  DNN_ASSERT(scan.results.empty() && nexts.size() == scan.carryCount, "a scan is finished once, with all its carries");
  for (const Value* v : emits) {
    function.addResult(scan, stackedType(scan.dims[0].extent, v->type));
  }
  for (size_t i = 0; i < scan.carryCount; ++i) {
    function.addResult(scan, scan.operands[i]->type);
  }
  nextsOf(scan) = std::move(nexts);
  emitsOf(scan) = std::move(emits);
  scan.operands.resize(firstCapture(scan));
  std::vector<Value*> captures = capturesOf(scan);
  scan.operands.insert(scan.operands.end(), captures.begin(), captures.end());
}

Value* counterOf(const Op& scan) { return firstCarry(scan) == 0 ? nullptr : scan.body_block->ops[0]->results[0]; }

Value* carryOf(const Op& scan, size_t i) { return scan.body_block->ops.at(firstCarry(scan) + i)->results[0]; }

Value* sliceOf(const Op& scan, size_t i) { return carryOf(scan, scan.carryCount + i); }

std::vector<Value*>& nextsOf(const Op& scan) { return scan.body_block->ops.end()[-2]->operands; }

std::vector<Value*>& emitsOf(const Op& scan) { return scan.body_block->ops.back()->operands; }

Value* finalOf(const Op& scan, size_t carry) { return scan.results.at(scan.results.size() - scan.carryCount + carry); }

Value* ensureCounter(Function& function, Op& scan) {
  if (Value* counter = counterOf(scan)) {
    return counter;
  }
  return insertArgument(function, scan, OpKind::Counter, 0, {DType::I32, {}, scan.dims[0].extent});
}

Value* addEmit(Function& function, Op& scan, Value* value) {
  std::vector<Value*>& emits = emitsOf(scan);
  emits.push_back(value);
  return insertResult(function, scan, emits.size() - 1, stackedType(scan.dims[0].extent, value->type));
}

Value* addSlice(Function& function, Op& scan, Value* sliced) {
  scan.operands.insert(at(scan.operands, firstCapture(scan)), sliced);
  size_t place = firstCarry(scan) + firstCapture(scan);
  ++scan.sliceCount;
  return insertArgument(function, scan, OpKind::Slice, place, sliceType(sliced->type));
}

Value* addCarry(Function& function, Op& scan, Value* initial, Value* next) {
  scan.operands.insert(at(scan.operands, scan.carryCount), initial);
  size_t place = firstCarry(scan) + scan.carryCount;
  nextsOf(scan).push_back(next);
  ++scan.carryCount;
  function.addResult(scan, initial->type);
  return insertArgument(function, scan, OpKind::Carry, place, initial->type);
}

void removeEmit(Op& scan, size_t i) {
  emitsOf(scan).erase(at(emitsOf(scan), i));
  eraseResult(scan, i);
}

void removeCarry(Op& scan, size_t i) {
  eraseResult(scan, finalOf(scan, i)->position);
  nextsOf(scan).erase(at(nextsOf(scan), i));
  scan.operands.erase(at(scan.operands, i));
  scan.body_block->ops.erase(at(scan.body_block->ops, firstCarry(scan) + i));
  --scan.carryCount;
}

void removeSlice(Op& scan, size_t i) {
  scan.operands.erase(at(scan.operands, scan.carryCount + i));
  scan.body_block->ops.erase(at(scan.body_block->ops, firstCarry(scan) + scan.carryCount + i));
  --scan.sliceCount;
}

TensorType stackedType(const Dim& steps, TensorType type) {
  type.dims.insert(type.dims.begin(), steps);
  return type;
}

TensorType sliceType(TensorType stacked) {
  if (!stacked.dims.empty()) { // a scalar is refused by the verifier
    stacked.dims.erase(stacked.dims.begin());
  }
  return stacked;
}

std::vector<Value*> capturesOf(const Op& scan) {
  std::unordered_set<const Value*> known; // own values, and captures so far
  std::vector<Value*> captures;
  auto use = [&](Value* v) {
    if (known.insert(v).second) {
      captures.push_back(v);
    }
  };
  forEachOp(*scan.body_block, [&](const Op* op) {
    // What regions use besides, their ops do.
    size_t own = op->kind == OpKind::Group ? 0 : op->kind == OpKind::Scan ? firstCapture(*op) : op->operands.size();
    std::for_each(op->operands.begin(), op->operands.begin() + static_cast<std::ptrdiff_t>(own), use);
    known.insert(op->results.begin(), op->results.end());
  });
  return captures;
}

} // namespace dnn::graph
