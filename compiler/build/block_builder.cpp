#include "compiler/build/block_builder.h"

#include "compiler/graph/scan.h"
#include "compiler/support/assert.h"

#include <algorithm>

namespace dnn::build {

using graph::ExprRef;
using graph::OpKind;
using graph::Value;

graph::Op* BlockBuilder::append(OpKind kind, std::vector<Value*> operands, std::vector<TensorType> resultTypes,
                                graph::Loc loc) {
  return appendAt(open_.size(), kind, std::move(operands), std::move(resultTypes), loc);
}

graph::Op* BlockBuilder::appendAt(size_t level, OpKind kind, std::vector<Value*> operands,
                                  std::vector<TensorType> resultTypes, graph::Loc loc) {
  graph::Op* op = function_.createOp(kind, std::move(operands), std::move(resultTypes), loc);
  place(level, op);
  return op;
}

void BlockBuilder::place(size_t level, graph::Op* op) {
  if (level == 0) {
    function_.body.ops.push_back(op);
    return;
  }
  graph::Op* scan = open_[level - 1].scan;
  scan->body_block->ops.insert(graph::bodyEnd(*scan), op);
  for (const Value* result : op->results) {
    levels_[result] = level;
  }
}

graph::Op* BlockBuilder::beginScan(graph::IndexVar index, bool reverse, sema::VarId step, std::vector<Value*> initial,
                                   graph::Loc loc) {
  graph::Op* scan = graph::createScan(function_, std::move(index), reverse, false, std::move(initial), {}, loc);
  open_.push_back({scan, step, {}});
  for (size_t i = 0; i < scan->carryCount; ++i) {
    levels_[graph::carryOf(*scan, i)] = open_.size();
  }
  return scan;
}

graph::Op* BlockBuilder::endScan(std::vector<Value*> nexts, std::vector<Value*> emits) {
  graph::Op* scan = open_.back().scan;
  graph::finishScan(function_, *scan, std::move(nexts), std::move(emits));
  open_.pop_back();
  place(open_.size(), scan);
  return scan;
}

size_t BlockBuilder::levelOfStep(sema::VarId var) const {
  for (size_t level = open_.size(); level > 0; --level) {
    if (open_[level - 1].step == var) {
      return level;
    }
  }
  return 0;
}

size_t BlockBuilder::levelOf(const Value* value) const {
  auto found = levels_.find(value);
  return found == levels_.end() ? 0 : found->second;
}

Value* BlockBuilder::counter(sema::VarId step) {
  size_t level = levelOfStep(step);
  DNN_ASSERT(level > 0, "the number of a step is used inside its scan");
  Value* value = graph::ensureCounter(function_, *open_[level - 1].scan);
  value->name = open_[level - 1].scan->dims[0].name;
  levels_[value] = level;
  return value;
}

bool BlockBuilder::canSlice(const Value* value, sema::VarId step) const { return levelOf(value) < levelOfStep(step); }

Value* BlockBuilder::slice(Value* value, const std::vector<StepSubscript>& subscripts, std::optional<double> fill,
                           graph::Loc loc) {
  size_t level = levelOfStep(subscripts.front().step);
  DNN_ASSERT(canSlice(value, subscripts.front().step), "only what is outside of a scan is sliced");
  OpenScan& open = open_[level - 1];
  std::string key = std::to_string(reinterpret_cast<uintptr_t>(value));
  for (const StepSubscript& s : subscripts) {
    key += ";" + std::to_string(s.position) + ":" + std::to_string(s.factor) + "," + s.offset.str(function_.symbols);
  }
  key += fill ? ";" + std::to_string(*fill) : "";
  Value*& known = open.slices[key];
  if (known == nullptr) {
    const Dim steps = open.scan->dims[0].extent;
    const StepSubscript& first = subscripts.front();
    bool whole = subscripts.size() == 1 && first.position == 0 && first.factor == 1 && first.offset == Dim(0) &&
                 value->type.dims[0] == steps;
    Value* arranged = whole ? value : arrange(level - 1, value, subscripts, steps, fill, loc);
    known = graph::addSlice(function_, *open.scan, arranged);
    known->name = value->name;
    levels_[known] = level;
  }
  return known;
}

/// comp [t:T, n:N, k:K] : f32 { %x[n, f(t), k] }
Value* BlockBuilder::arrange(size_t level, Value* value, const std::vector<StepSubscript>& subscripts, const Dim& steps,
                             std::optional<double> fill, graph::Loc loc) {
  graph::ExprPool& pool = function_.module.exprs;
  TensorType type = value->type;
  type.dims = {steps};
  if (fill && *fill != 0) {
    type.bound.reset();
  }
  std::vector<graph::IndexVar> dims = {{"t", steps}};
  std::vector<ExprRef> at;
  for (size_t i = 0; i < value->type.rank(); ++i) {
    auto read =
        std::find_if(subscripts.begin(), subscripts.end(), [&](const StepSubscript& s) { return s.position == i; });
    if (read == subscripts.end()) {
      at.push_back(pool.index(static_cast<uint32_t>(dims.size())));
      dims.push_back({"i" + std::to_string(dims.size() - 1), value->type.dims[i]});
      type.dims.push_back(value->type.dims[i]);
      continue;
    }
    ExprRef place = pool.index(0);
    if (read->factor != 1) {
      place = pool.apply(ScalarOp::Mul, {place, pool.integer(read->factor)});
    }
    if (read->offset != Dim(0)) {
      ExprRef offset = read->offset.isStatic() ? pool.integer(read->offset.constant()) : pool.extent(read->offset);
      place = pool.apply(ScalarOp::Add, {place, offset});
    }
    at.push_back(place);
  }
  graph::Op* op = appendAt(level, OpKind::Comp, {value}, {std::move(type)}, loc);
  op->dims = std::move(dims);
  op->body = pool.access(0, value->type.dtype, std::move(at), fill);
  op->results[0]->name = value->name;
  return op->results[0];
}

} // namespace dnn::build
