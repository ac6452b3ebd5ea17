#include "compiler/autodiff/split_scan.h"

#include "compiler/algebra/builder.h"
#include "compiler/graph/scan.h"

#include <algorithm>
#include <unordered_map>

namespace dnn::autodiff {

using graph::Function;
using graph::Op;
using graph::OpKind;
using graph::Value;

namespace {

class Splitter {
public:
  Splitter(Function& function, std::vector<Op*>& ops)
      : function_(function), ops_(ops), builder_(function.module.exprs) {}

  /// Appends the ops that stand for the scan.
  void run(Op& scan) {
    auto steps = static_cast<int64_t>(scan.saveEvery);
    Dim blocks(scan.dims[0].extent.constant() / steps);
    std::vector<Value*> initial(scan.operands.begin(), scan.operands.begin() + scan.carryCount);
    std::vector<Value*> sliced;
    for (size_t i = 0; i < scan.sliceCount; ++i) {
      Value* whole = scan.operands[scan.carryCount + i];
      TensorType type = whole->type;
      type.dims[0] = Dim(steps);
      type.dims.insert(type.dims.begin(), blocks);
      sliced.push_back(reshape(whole, std::move(type), scan.loc));
    }
    Op& outer = *graph::createScan(function_, {scan.dims[0].name + "_block", blocks}, scan.reversed, false, initial,
                                   sliced, scan.loc);
    outer.saveEvery = 1;
    std::vector<Value*> carries;
    std::vector<Value*> slices;
    for (size_t i = 0; i < scan.carryCount; ++i) {
      carries.push_back(graph::carryOf(outer, i));
      carries.back()->name = graph::carryOf(scan, i)->name;
    }
    for (size_t i = 0; i < scan.sliceCount; ++i) {
      slices.push_back(graph::sliceOf(outer, i));
    }
    Op& inner =
        *graph::createScan(function_, {scan.dims[0].name, Dim(steps)}, scan.reversed, false, carries, slices, scan.loc);
    moveBody(scan, outer, inner);
    graph::finishScan(function_, inner, graph::nextsOf(scan), graph::emitsOf(scan));
    outer.body_block->ops.insert(graph::bodyEnd(outer), &inner);
    size_t emits = graph::emitsOf(scan).size();
    std::vector<Value*> lasts(inner.results.begin() + static_cast<std::ptrdiff_t>(emits), inner.results.end());
    std::vector<Value*> stacks(inner.results.begin(), inner.results.begin() + static_cast<std::ptrdiff_t>(emits));
    graph::finishScan(function_, outer, std::move(lasts), std::move(stacks));
    ops_.push_back(&outer);
    for (size_t i = 0; i < scan.results.size(); ++i) {
      Value* result = outer.results[i];
      if (i < emits) {
        result = reshape(result, scan.results[i]->type, scan.loc);
      }
      result->name = scan.results[i]->name;
      replaceLaterUses(scan.results[i], result);
    }
  }

private:
  /// In the blocks as they are: what stands behind the scan is in them still.
  void replaceLaterUses(Value* from, Value* to) {
    graph::forEachOp(function_.body, [&](Op* op) { std::ranges::replace(op->operands, from, to); });
    std::ranges::replace(function_.returns, from, to);
  }

  Value* reshape(Value* value, TensorType type, graph::Loc loc) {
    Op* op = function_.createOp(OpKind::Reshape, {value}, {std::move(type)}, loc);
    ops_.push_back(op);
    return op->results[0];
  }

  /// The scan's arguments become those of the inner one; its number of the step is that of the block and of the step in
  /// it.
  void moveBody(Op& scan, Op& outer, Op& inner) {
    std::unordered_map<const Value*, Value*> values;
    for (size_t i = 0; i < graph::firstCapture(scan); ++i) {
      values[graph::carryOf(scan, i)] = graph::carryOf(inner, i); // the slices are numbered behind the carries
      graph::carryOf(inner, i)->name = graph::carryOf(scan, i)->name;
    }
    if (const Value* counter = graph::counterOf(scan)) {
      graph::ExprPool& pool = function_.module.exprs;
      Value* block = graph::ensureCounter(function_, outer);
      Value* step = graph::ensureCounter(function_, inner);
      Op* number = function_.createOp(OpKind::Comp, {block, step}, {counter->type}, scan.loc);
      graph::ExprRef first = builder_.make(
          ScalarOp::Mul, {pool.access(0, DType::I32, {}), pool.integer(static_cast<int64_t>(scan.saveEvery))});
      number->body = builder_.add(first, pool.access(1, DType::I32, {}));
      number->results[0]->name = counter->name;
      inner.body_block->ops.insert(graph::bodyEnd(inner), number);
      values[counter] = number->results[0];
    }
    for (Op* op : scan.body_block->ops) {
      bool ends = op->kind == OpKind::Next || op->kind == OpKind::Emit;
      bool argument = op->kind == OpKind::Counter || op->kind == OpKind::Carry || op->kind == OpKind::Slice;
      if (!ends && !argument) {
        inner.body_block->ops.insert(graph::bodyEnd(inner), op);
      }
    }
    auto replace = [&](Op* op) {
      for (Value*& v : op->operands) {
        auto found = values.find(v);
        v = found == values.end() ? v : found->second;
      }
    };
    graph::forEachOp(*inner.body_block, replace);
    replace(scan.body_block->ops.end()[-2]);
    replace(scan.body_block->ops.back());
  }

  Function& function_;
  std::vector<Op*>& ops_;
  algebra::Builder builder_;
};

bool splitIn(Function& function, graph::Block& block) {
  bool changed = false;
  std::vector<Op*> ops;
  for (Op* op : std::vector<Op*>(block.ops)) {
    if (op->kind == OpKind::Scan) {
      changed |= splitIn(function, *op->body_block);
      if (op->saveEvery > 1) {
        Splitter(function, ops).run(*op);
        changed = true;
        continue;
      }
    }
    ops.push_back(op);
  }
  if (changed) {
    block.ops = std::move(ops);
  }
  return changed;
}

} // namespace

void splitScans(Function& function) {
  if (splitIn(function, function.body)) {
    graph::refreshRegions(function);
  }
}

} // namespace dnn::autodiff
