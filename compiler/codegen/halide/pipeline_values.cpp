// Elements: what a body reads, where ops without a buffer are computed.
#include "compiler/codegen/halide/pipeline_loops.h"
#include "compiler/support/assert.h"

namespace dnn::codegen {

using graph::Op;
using graph::OpKind;
using graph::Value;
using Halide::Expr;
using Halide::Func;

Expr PipelineBuilder::element(const Value* v, const std::vector<Expr>& subscripts) {
  const Op& def = *v->def;
  std::vector<Expr> args = innermostFirst(subscripts);
  switch (def.kind) {
  case OpKind::Input: {
    auto over = overwritten_.find(v);
    if (over == overwritten_.end()) {
      return fromStorage(images_.at(v)(args), v->type.dtype);
    }
    const Overwritten& place = over->second;
    Expr old = place.element < 0 ? Expr(place.func(args)) : Expr(place.func(args)[place.element]);
    return fromStorage(old, v->type.dtype);
  }
  case OpKind::Env: {
    bool isStep = def.symbol == "step";
    (isStep ? usesStep_ : usesEpoch_) = true;
    return Halide::cast<int32_t>(isStep ? Expr(step_) : Expr(epoch_));
  }
  case OpKind::Comp:
  case OpKind::Scatter:
  case OpKind::Reshape:
  case OpKind::Concat: break;
  default: DNN_UNREACHABLE("a kernel has no other kinds of ops");
  }
  if (isInline(def)) {
    return inlined(def, subscripts);
  }
  const schedule::OpSchedule& how = *scheduleOf_.at(&def);
  const Stage& stage = stages_.at("op" + std::to_string(how.joinedWith.value_or(how.op)));
  if (how.joinedWith || !how.joined.empty()) {
    return fromStorage(stage.func(args)[joinedElement(how)], v->type.dtype);
  }
  if (isArg(def.reduction) && !how.writtenOut && !how.accumulator) {
    return stage.func(args)[0];
  }
  return fromStorage(stage.func(args), v->type.dtype);
}

Expr PipelineBuilder::Written::element(const Value* v, const std::vector<Expr>& subscripts) {
  const std::vector<Value*>& returns = builder_.function_.returns;
  auto found = builder_.scheduleOf_.find(v->def);
  if (found == builder_.scheduleOf_.end() || found->second->beside) {
    return builder_.element(v, subscripts);
  }
  uint32_t index = static_cast<uint32_t>(std::ranges::find(returns, v) - returns.begin());
  std::vector<Expr> args = innermostFirst(subscripts);
  if (auto image = builder_.reread_.find(index); image != builder_.reread_.end()) {
    return fromStorage(image->second(args), v->type.dtype);
  }
  for (uint32_t number = 0; number < builder_.schedule_.outputs.size(); ++number) {
    std::vector<uint32_t> order = builder_.storeOrder(builder_.schedule_.outputs[number].returns);
    auto place = std::ranges::find(order, index);
    if (place != order.end()) {
      const Func& func = builder_.stages_.at("out" + std::to_string(number)).func;
      Expr stored = order.size() == 1 ? Expr(func(args)) : Expr(func(args)[static_cast<int>(place - order.begin())]);
      return fromStorage(stored, v->type.dtype);
    }
  }
  return builder_.element(v, subscripts);
}

int PipelineBuilder::joinedElement(const schedule::OpSchedule& how) const {
  if (!how.joinedWith) {
    return 0;
  }
  const std::vector<uint32_t>& joined = scheduleOf_.at(function_.body.ops[*how.joinedWith])->joined;
  return 1 + static_cast<int>(std::ranges::find(joined, how.op) - joined.begin());
}

Expr PipelineBuilder::inlined(const Op& op, const std::vector<Expr>& point) {
  switch (op.kind) {
  case OpKind::Comp:
    return op.reduction == Reduction::None ? lowering(op, point).lower(op.body) : writtenOut(op, point);
  case OpKind::Reshape: {
    const std::vector<Dim>& to = op.results[0]->type.dims;
    const std::vector<Dim>& from = op.operands[0]->type.dims;
    Expr position = 0;
    for (size_t d = 0; d < to.size(); ++d) {
      position = position * extent(to[d]) + point[d];
    }
    std::vector<Expr> subscripts(from.size());
    for (size_t d = from.size(); d-- > 0;) {
      Expr size = extent(from[d]);
      subscripts[d] = Halide::unsafe_promise_clamped(d == 0 ? position : position % size, 0, size - 1);
      position = position / size;
    }
    return element(op.operands[0], subscripts);
  }
  case OpKind::Concat: {
    Expr value, start = 0;
    std::vector<std::pair<Expr, Expr>> parts; // where it ends, its element
    for (const Value* operand : op.operands) {
      Expr size = extent(operand->type.dims[op.axis]);
      std::vector<Expr> subscripts = point;
      subscripts[op.axis] = Halide::clamp(point[op.axis] - start, 0, size - 1);
      start = Halide::Internal::simplify(start + size);
      parts.emplace_back(start, element(operand, subscripts));
    }
    for (size_t i = parts.size(); i-- > 0;) {
      value =
          value.defined() ? Halide::select(point[op.axis] < parts[i].first, parts[i].second, value) : parts[i].second;
    }
    return value;
  }
  default: DNN_UNREACHABLE("only comps, reshapes and concats are inlined");
  }
}

ExprLowering PipelineBuilder::lowering(const Op& op, std::vector<Expr> point) {
  const schedule::OpSchedule& how = *scheduleOf_.at(&op);
  auto values = stages_.find("op" + std::to_string(how.op) + "_values");
  Expr ready;
  if (values != stages_.end()) {
    ready = fromStorage(values->second.func(point.at(0)), op.body->dtype);
  }
  ExprLowering bodies(how.beside ? static_cast<ValueSource&>(written_) : *this, op, function_.symbols,
                      std::move(point));
  if (ready.defined()) {
    bodies.replace(op.body, ready);
  }
  auto found = once_.find(&op);
  for (size_t i = 0; found != once_.end() && i < found->second.size(); ++i) {
    graph::ExprRef part = how.once[i];
    bodies.replace(part, fromStorage(found->second[i](), part->dtype));
  }
  return bodies;
}

void PipelineBuilder::defineOnce(const Op& op, const schedule::OpSchedule& how, const std::string& name) {
  std::vector<Expr> nowhere(op.dims.size() + op.reduced.size());
  std::vector<Func> values;
  for (graph::ExprRef part : how.once) {
    Func value = named(name + "_once" + std::to_string(values.size()));
    value() = toStorage(ExprLowering(*this, op, function_.symbols, nowhere).lower(part), part->dtype);
    value.compute_root();
    values.push_back(value);
  }
  if (!values.empty()) {
    once_[&op] = std::move(values);
  }
}

} // namespace dnn::codegen
