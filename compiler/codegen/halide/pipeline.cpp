#include "compiler/codegen/halide/pipeline.h"

#include "compiler/codegen/halide/scalar_math.h"
#include "compiler/support/assert.h"

#include <algorithm>

namespace dnn::codegen {

using graph::Op;
using graph::OpKind;
using graph::Value;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using schedule::KernelArg;
using schedule::Placement;

namespace {

std::string dimLoop(size_t position) { return "i" + std::to_string(position); }
std::string reducedLoop(size_t position) { return "r" + std::to_string(position); }

std::vector<Var> dimVars(size_t rank) {
  std::vector<Var> vars;
  for (size_t d = 0; d < rank; ++d) {
    vars.emplace_back(dimLoop(d));
  }
  return vars;
}

std::vector<Expr> asExprs(const std::vector<Var>& vars) { return {vars.begin(), vars.end()}; }

/// Halide's order of dimensions: innermost first.
template <class T> std::vector<T> innermostFirst(std::vector<T> rowMajor) {
  std::ranges::reverse(rowMajor);
  return rowMajor;
}

LoopNames dimLoops(const std::vector<Var>& vars) {
  LoopNames loops;
  for (const Var& v : vars) {
    loops.emplace(v.name(), v);
  }
  return loops;
}

bool isArg(Reduction reduction) { return reduction == Reduction::ArgMax || reduction == Reduction::ArgMin; }

Expr identity(Reduction reduction, DType dtype) {
  switch (reduction) {
  case Reduction::None:
  case Reduction::Add:
  case Reduction::Any: return constant(0, dtype);
  case Reduction::Mul:
  case Reduction::All: return constant(1, dtype);
  case Reduction::Max:
  case Reduction::ArgMax: return storageType(dtype).min();
  case Reduction::Min:
  case Reduction::ArgMin: return storageType(dtype).max();
  }
  DNN_UNREACHABLE("every reduction has an identity");
}

/// Combines values as valueType.
Expr combine(Reduction reduction, const Expr& a, const Expr& b) {
  switch (reduction) {
  case Reduction::Add: return a + b;
  case Reduction::Mul: return a * b;
  case Reduction::Max: return maxPropagating(a, b);
  case Reduction::Min: return minPropagating(a, b);
  case Reduction::Any: return a || b;
  case Reduction::All: return a && b;
  case Reduction::None:
  case Reduction::ArgMax:
  case Reduction::ArgMin: break;
  }
  DNN_UNREACHABLE("argmax and argmin combine pairs");
}

Expr tree(Reduction reduction, const std::vector<Expr>& values, size_t from, size_t count) {
  if (count == 1) {
    return values[from];
  }
  size_t half = count / 2;
  return combine(reduction, tree(reduction, values, from, half), tree(reduction, values, from + half, count - half));
}

} // namespace

PipelineBuilder::PipelineBuilder(const schedule::Kernel& kernel, const schedule::Schedule& schedule, std::string name)
    : kernel_(kernel), function_(*kernel.function), schedule_(schedule), name_(std::move(name)) {
  for (const Symbol& symbol : function_.symbols) {
    symbols_.emplace_back("symbol_" + std::to_string(symbols_.size()));
    symbols_.back().set_range(1, static_cast<int32_t>(symbol.max));
  }
  seedLo_ = Halide::Param<uint32_t>("seed_lo");
  seedHi_ = Halide::Param<uint32_t>("seed_hi");
  step_ = Halide::Param<uint32_t>("step");
  epoch_ = Halide::Param<uint32_t>("epoch");
  for (const schedule::OpSchedule& how : schedule_.ops) {
    scheduleOf_[function_.body.ops.at(how.op)] = &how;
  }
}

BuiltPipeline PipelineBuilder::build() {
  BuiltPipeline built;
  declareInputs();
  for (uint32_t position = 0; position < function_.body.ops.size(); ++position) {
    defineOp(position);
  }
  std::vector<Func> outputs;
  std::vector<bool> written(function_.returns.size());
  std::vector<KernelArg> outputArgs;
  for (uint32_t number = 0; number < schedule_.outputs.size(); ++number) {
    defineOutput(number, built);
    outputs.push_back(stages_.at("out" + std::to_string(number)).func);
    for (uint32_t index : schedule_.outputs[number].returns) {
      written[index] = true;
      outputArgs.push_back({KernelArg::Kind::Output, index});
    }
  }
  for (uint32_t index = 0; index < written.size(); ++index) {
    if (!written[index]) {
      const Value* v = function_.returns[index];
      size_t position = static_cast<size_t>(std::ranges::find(function_.body.ops, v->def) - function_.body.ops.begin());
      Func func = stages_.at("op" + std::to_string(position)).func;
      bindOutput(func.output_buffer(), v->type, true);
      outputs.push_back(func);
      outputArgs.push_back({KernelArg::Kind::Output, index});
    }
  }
  for (const auto& [stageName, how] : toSchedule_) {
    applySchedule(stages_.at(stageName), *how, stages_);
  }
  built.pipeline = Halide::Pipeline(outputs);

  for (const Op* op : function_.body.ops) {
    if (op->kind == OpKind::Input && !overwritten_.contains(op->results[0])) {
      built.arguments.push_back(images_.at(op->results[0]));
      built.kernelArgs.push_back({KernelArg::Kind::Input, inputNumber_.at(op->results[0])});
    }
  }
  for (uint32_t s = 0; s < symbols_.size(); ++s) {
    built.arguments.push_back(symbols_[s]);
    built.kernelArgs.push_back({KernelArg::Kind::Symbol, s});
  }
  auto scalar = [&](bool used, const Halide::Param<uint32_t>& param, KernelArg::Kind kind) {
    if (used) {
      built.arguments.push_back(param);
      built.kernelArgs.push_back({kind, 0});
    }
  };
  scalar(usesSeed_, seedLo_, KernelArg::Kind::SeedLo);
  scalar(usesSeed_, seedHi_, KernelArg::Kind::SeedHi);
  scalar(usesStep_, step_, KernelArg::Kind::Step);
  scalar(usesEpoch_, epoch_, KernelArg::Kind::Epoch);
  built.kernelArgs.insert(built.kernelArgs.end(), outputArgs.begin(), outputArgs.end());
  return built;
}

void PipelineBuilder::declareInputs() {
  uint32_t number = 0;
  for (const Op* op : function_.body.ops) {
    if (op->kind == OpKind::Input) {
      inputNumber_[op->results[0]] = number++;
    }
  }
  std::vector<bool> isOverwritten(number);
  for (const std::optional<uint32_t>& input : kernel_.inPlace) {
    if (input) {
      isOverwritten.at(*input) = true;
    }
  }
  for (const auto& [value, index] : inputNumber_) {
    const TensorType& type = value->type;
    if (isOverwritten[index]) {
      continue;
    }
    Halide::ImageParam image(storageType(type.dtype), static_cast<int>(type.rank()), "in" + std::to_string(index));
    Expr stride = 1;
    for (size_t d = 0; d < type.rank(); ++d) {
      const Dim& dim = type.dims[type.rank() - 1 - d];
      image.dim(static_cast<int>(d)).set_bounds(0, extent(dim)).set_stride(stride);
      stride = Halide::Internal::simplify(stride * extent(dim));
    }
    image.set_host_alignment(64);
    images_.emplace(value, image);
  }
}

void PipelineBuilder::bindOutput(Halide::OutputImageParam buffer, const TensorType& type, bool withBounds) {
  Expr stride = 1;
  for (size_t d = 0; d < type.rank(); ++d) {
    const Dim& dim = type.dims[type.rank() - 1 - d];
    if (withBounds) {
      buffer.dim(static_cast<int>(d)).set_bounds(0, extent(dim));
    }
    buffer.dim(static_cast<int>(d)).set_stride(stride);
    stride = Halide::Internal::simplify(stride * extent(dim));
  }
  buffer.set_host_alignment(64);
}

Expr PipelineBuilder::extent(const Dim& dim) {
  Expr sum = static_cast<int32_t>(dim.constant());
  for (auto [symbol, factor] : dim.terms()) {
    sum = symbols_.at(symbol) * static_cast<int32_t>(factor) + sum;
  }
  return Halide::Internal::simplify(sum);
}

Expr PipelineBuilder::drawn(const graph::Expr& e, const Expr& lo, const Expr& hi) {
  usesSeed_ = usesStep_ = true;
  return draw(e.distribution, {seedLo_, seedHi_, step_}, e.site, lo, hi);
}

bool PipelineBuilder::isInline(const Op& op) const { return scheduleOf_.at(&op)->stage.placement == Placement::Inline; }

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
  const Stage& stage = stages_.at("op" + std::to_string(scheduleOf_.at(&def)->op));
  if (isArg(def.reduction)) {
    return stage.func(args)[0];
  }
  return fromStorage(stage.func(args), v->type.dtype);
}

Expr PipelineBuilder::inlined(const Op& op, const std::vector<Expr>& point) {
  switch (op.kind) {
  case OpKind::Comp: {
    DNN_ASSERT(op.reduction == Reduction::None, "a reduction has a stage of its own");
    return lowering(op, point).lower(op.body);
  }
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

RDom PipelineBuilder::domainOf(const std::vector<Expr>& extents, const std::string& name) const {
  Halide::Region region;
  for (const Expr& e : extents) {
    region.emplace_back(0, e);
  }
  return RDom(region, name);
}

namespace {

/// The value as a function of the domain. Halide runs an update once, not over its domain, when the update does not
/// mention the domain at all (a sum of a constant); a condition that always holds mentions it.
Expr mentioning(const RDom& domain, const Expr& value) {
  return Halide::select(domain[0] >= 0, value, Halide::cast(value.type(), 0));
}

/// Whether the expression uses an index from position `first` on.
bool dependsOn(graph::ExprRef body, size_t first) {
  bool found = false;
  graph::forEachNode(body, [&](graph::ExprRef e) { found |= e->kind == graph::ExprKind::Index && e->index >= first; });
  return found;
}

} // namespace

void PipelineBuilder::addStage(const std::string& name, Stage stage, const schedule::StageSchedule& how) {
  toSchedule_.emplace_back(name, &how);
  stages_.emplace(name, std::move(stage));
}

void PipelineBuilder::defineOp(uint32_t position) {
  const Op& op = *function_.body.ops[position];
  if (!scheduleOf_.contains(&op)) {
    return;
  }
  const schedule::OpSchedule& how = *scheduleOf_.at(&op);
  std::string name = "op" + std::to_string(position);
  defineOnce(op, how, name);
  if (isInline(op)) {
    return;
  }
  if (op.kind == OpKind::Scatter) {
    defineScatter(op, name);
    return;
  }
  for (size_t i = 0; i < how.packs.size(); ++i) {
    definePack(op, how.packs[i], name + "_pack" + std::to_string(i));
  }
  if (op.kind == OpKind::Comp && op.reduction != Reduction::None) {
    if (how.lanes) {
      defineLanes(op, how, name);
    } else {
      defineReduction(op, how, name);
    }
    return;
  }
  const TensorType& type = op.results[0]->type;
  std::vector<Var> vars = dimVars(type.rank());
  Stage stage{Func(name_ + "_" + name), {dimLoops(vars)}};
  stage.func(innermostFirst(vars)) = toStorage(inlined(op, asExprs(vars)), type.dtype);
  addStage(name, std::move(stage), how.stage);
}

void PipelineBuilder::defineReduction(const Op& op, const schedule::OpSchedule& how, const std::string& name) {
  DType dtype = op.body->dtype;
  std::vector<Var> vars = dimVars(op.dims.size());
  std::vector<Expr> extents, indices = asExprs(vars);
  for (const graph::IndexVar& index : op.reduced) {
    extents.push_back(extent(index.extent));
  }
  for (uint32_t d : how.clamped) {
    indices[d] = Halide::clamp(indices[d], 0, extent(op.dims[d].extent) - 1);
  }
  RDom domain = domainOf(innermostFirst(extents), "r");
  Stage stage{Func(name_ + "_" + name), {dimLoops(vars), dimLoops(vars)}};
  for (size_t q = 0; q < op.reduced.size(); ++q) {
    Halide::RVar r = domain[static_cast<int>(op.reduced.size() - 1 - q)];
    indices.push_back(r);
    stage.loops[1]->emplace(reducedLoop(q), r);
  }
  ExprLowering bodies = lowering(op, indices);
  for (size_t i = 0; i < how.packs.size(); ++i) {
    const schedule::Pack& pack = how.packs[i];
    // A pack is padded, so its own index may run past the end; it is not clamped.
    std::vector<Expr> args = {pack.along < vars.size() ? Expr(vars[pack.along]) : indices[pack.along]};
    for (uint32_t other : pack.others) {
      args.push_back(indices[other]);
    }
    bodies.replace(pack.part, fromStorage(stages_.at(name + "_pack" + std::to_string(i)).func(args), pack.part->dtype));
  }
  Expr value = bodies.lower(op.body);
  if (!dependsOn(op.body, op.dims.size())) {
    value = mentioning(domain, value);
  }
  std::vector<Expr> args = innermostFirst(asExprs(vars));
  Func& func = stage.func;
  if (isArg(op.reduction)) {
    Expr at = 0;
    for (size_t q = 0; q < op.reduced.size(); ++q) {
      at = at * extent(op.reduced[q].extent) + indices[vars.size() + q];
    }
    func(innermostFirst(vars)) = Halide::Tuple(Expr(0), identity(op.reduction, dtype));
    Expr best = func(args)[1];
    Expr better = op.reduction == Reduction::ArgMax ? lessThan(best, value) : lessThan(value, best);
    func(args) = Halide::Tuple(Halide::select(better, at, func(args)[0]), Halide::select(better, value, best));
  } else {
    func(innermostFirst(vars)) = toStorage(identity(op.reduction, dtype), dtype);
    func(args) = toStorage(combine(op.reduction, fromStorage(func(args), dtype), value), dtype);
  }
  addStage(name, std::move(stage), how.stage);
}

void PipelineBuilder::defineLanes(const Op& op, const schedule::OpSchedule& how, const std::string& name) {
  const schedule::Lanes& lanes = *how.lanes;
  DType dtype = op.body->dtype;
  int32_t width = static_cast<int32_t>(lanes.width);
  std::vector<Var> vars = dimVars(op.dims.size());
  Var u("u");
  std::vector<Var> laneVars = innermostFirst(vars);
  laneVars.insert(laneVars.begin(), u);
  LoopNames loops = dimLoops(vars);
  loops.emplace("u", u);
  Stage stage{Func(name_ + "_" + name + "_lanes"), {loops}};
  Func& func = stage.func;
  func(laneVars) = toStorage(identity(op.reduction, dtype), dtype);

  Expr whole = extent(op.reduced[lanes.reduced].extent);
  // One update: lane `lane` takes the point at base + lane, for all values of the domain.
  auto update = [&](const RDom& domain, const Expr& lane, const Expr& along, LoopNames names) {
    std::vector<Expr> indices = asExprs(vars), args = innermostFirst(asExprs(vars));
    for (size_t q = 0; q < op.reduced.size(); ++q) {
      Halide::RVar r = domain[static_cast<int>(op.reduced.size() - 1 - q)];
      indices.push_back(q == lanes.reduced ? along : Expr(r));
      names.emplace(reducedLoop(q), r);
    }
    args.insert(args.begin(), lane);
    Expr value = lowering(op, indices).lower(op.body);
    if (!dependsOn(op.body, op.dims.size())) {
      value = mentioning(domain, value);
    }
    func(args) = toStorage(combine(op.reduction, fromStorage(func(args), dtype), value), dtype);
    stage.loops.push_back(std::move(names));
  };
  std::vector<Expr> chunks, rest;
  for (size_t q = 0; q < op.reduced.size(); ++q) {
    Expr size = extent(op.reduced[q].extent);
    chunks.push_back(q == lanes.reduced ? Halide::Internal::simplify(size / width) : size);
    rest.push_back(q == lanes.reduced ? Halide::Internal::simplify(size % width) : size);
  }
  int at = static_cast<int>(op.reduced.size() - 1 - lanes.reduced);
  if (!Halide::Internal::is_const_zero(chunks[lanes.reduced])) {
    RDom main = domainOf(innermostFirst(chunks), "r");
    update(main, u, main[at] * width + u, loops);
  } else {
    stage.loops.push_back(std::nullopt);
  }
  if (!Halide::Internal::is_const_zero(rest[lanes.reduced])) {
    RDom tail = domainOf(innermostFirst(rest), "t");
    Expr lane = Halide::Internal::is_const(rest[lanes.reduced])
                    ? Expr(tail[at])
                    : Halide::unsafe_promise_clamped(tail[at], 0, width - 1);
    update(tail, lane, Halide::Internal::simplify(whole / width) * width + tail[at], dimLoops(vars));
  }
  std::string laneName = name + "_lanes";
  func.bound(u, 0, width);
  addStage(laneName, stage, lanes.stage);

  std::vector<Expr> parts;
  for (int32_t lane = 0; lane < width; ++lane) {
    std::vector<Expr> args = innermostFirst(asExprs(vars));
    args.insert(args.begin(), lane);
    parts.push_back(fromStorage(func(args), dtype));
  }
  Stage total{Func(name_ + "_" + name), {dimLoops(vars)}};
  total.func(innermostFirst(vars)) = toStorage(tree(op.reduction, parts, 0, parts.size()), dtype);
  addStage(name, std::move(total), how.stage);
}

void PipelineBuilder::defineScatter(const Op& op, const std::string& name) {
  const TensorType& type = op.results[0]->type;
  std::vector<Var> vars = dimVars(type.rank());
  std::vector<Expr> extents, indices, target;
  for (const graph::IndexVar& index : op.dims) {
    extents.push_back(extent(index.extent));
  }
  RDom domain = domainOf(innermostFirst(extents), "r");
  Stage stage{Func(name_ + "_" + name), {dimLoops(vars), LoopNames{}}};
  for (size_t d = 0; d < op.dims.size(); ++d) {
    Halide::RVar r = domain[static_cast<int>(op.dims.size() - 1 - d)];
    indices.push_back(r);
    stage.loops[1]->emplace(dimLoop(d), r);
  }
  ExprLowering bodies = lowering(op, indices);
  for (size_t d = 0; d < type.rank(); ++d) {
    Expr at = Halide::cast<int32_t>(bodies.lower(op.at[d]));
    target.push_back(promised(op.at[d], at, extent(type.dims[d])));
  }
  Expr value = mentioning(domain, bodies.lower(op.body));
  stage.func(innermostFirst(vars)) = constant(0, type.dtype);
  std::vector<Expr> args = innermostFirst(target);
  stage.func(args) = stage.func(args) + value;
  addStage(name, std::move(stage), scheduleOf_.at(&op)->stage);
}

ExprLowering PipelineBuilder::lowering(const Op& op, std::vector<Expr> point) {
  ExprLowering bodies(*this, op, function_.symbols, std::move(point));
  auto found = once_.find(&op);
  for (size_t i = 0; found != once_.end() && i < found->second.size(); ++i) {
    graph::ExprRef part = scheduleOf_.at(&op)->once[i];
    bodies.replace(part, fromStorage(found->second[i](), part->dtype));
  }
  return bodies;
}

void PipelineBuilder::defineOnce(const Op& op, const schedule::OpSchedule& how, const std::string& name) {
  std::vector<Expr> nowhere(op.dims.size() + op.reduced.size());
  std::vector<Func> values;
  for (graph::ExprRef part : how.once) {
    Func value(name_ + "_" + name + "_once" + std::to_string(values.size()));
    value() = toStorage(ExprLowering(*this, op, function_.symbols, nowhere).lower(part), part->dtype);
    value.compute_root();
    values.push_back(value);
  }
  if (!values.empty()) {
    once_[&op] = std::move(values);
  }
}

void PipelineBuilder::definePack(const Op& op, const schedule::Pack& pack, const std::string& name) {
  auto extentOf = [&](uint32_t index) {
    return extent(index < op.dims.size() ? op.dims[index].extent : op.reduced[index - op.dims.size()].extent);
  };
  auto loopOf = [&](uint32_t index) {
    return index < op.dims.size() ? dimLoop(index) : reducedLoop(index - op.dims.size());
  };
  Var along(loopOf(pack.along));
  std::vector<Var> vars = {along};
  std::vector<Expr> indices(op.dims.size() + op.reduced.size());
  Stage stage{Func(name_ + "_" + name), {}};
  for (uint32_t other : pack.others) {
    vars.emplace_back(loopOf(other));
    indices[other] = vars.back();
  }
  Expr size = extentOf(pack.along);
  RDom domain(0, size, "p");
  indices[pack.along] = domain.x;
  std::vector<Expr> args = asExprs(vars);
  args[0] = domain.x;
  stage.func(vars) = Halide::undef(storageType(pack.part->dtype));
  stage.func(args) = toStorage(lowering(op, indices).lower(pack.part), pack.part->dtype);
  stage.loops = {dimLoops(vars), dimLoops(vars)};
  stage.loops[1]->insert_or_assign(along.name(), domain.x);
  int32_t multiple = static_cast<int32_t>(pack.multiple);
  stage.func.bound(along, 0, Halide::Internal::simplify((size + multiple - 1) / multiple * multiple));
  for (uint32_t i = 0; i < pack.others.size(); ++i) {
    stage.func.bound(vars[i + 1], 0, extentOf(pack.others[i]));
  }
  addStage(name, std::move(stage), pack.stage);
}

void PipelineBuilder::defineOutput(uint32_t number, BuiltPipeline&) {
  const schedule::OutputSchedule& output = schedule_.outputs[number];
  std::string name = "out" + std::to_string(number);
  const TensorType& type = function_.returns.at(output.returns.front())->type;
  std::vector<Var> vars = dimVars(type.rank());
  Stage stage{Func(name_ + "_" + name), {dimLoops(vars)}};
  bool single = output.returns.size() == 1;
  bool inPlace = false;
  std::vector<const Value*> inputs(inputNumber_.size());
  for (const auto& [value, index] : inputNumber_) {
    inputs[index] = value;
  }
  std::vector<Expr> undefined;
  for (size_t i = 0; i < output.returns.size(); ++i) {
    uint32_t index = output.returns[i];
    undefined.push_back(Halide::undef(storageType(function_.returns[index]->type.dtype)));
    if (index < kernel_.inPlace.size() && kernel_.inPlace[index]) {
      inPlace = true;
      overwritten_[inputs[*kernel_.inPlace[index]]] = {stage.func, single ? -1 : static_cast<int>(i)};
    }
  }
  std::vector<Var> order = innermostFirst(vars);
  if (inPlace) {
    // Defined as nothing, then updated at each point from its own old value: the buffers are read before written.
    if (single) {
      stage.func(order) = undefined[0];
    } else {
      stage.func(order) = Halide::Tuple(undefined);
    }
  }
  std::vector<Expr> point = asExprs(vars), values;
  for (uint32_t index : output.returns) {
    const Value* v = function_.returns[index];
    values.push_back(toStorage(element(v, point), v->type.dtype));
  }
  if (single) {
    stage.func(order) = values[0];
  } else {
    stage.func(order) = Halide::Tuple(values);
  }
  if (inPlace) {
    stage.loops.push_back(stage.loops[0]);
  }
  std::vector<Halide::OutputImageParam> buffers = stage.func.output_buffers();
  for (size_t i = 0; i < buffers.size(); ++i) {
    bindOutput(buffers[i], function_.returns[output.returns[i]]->type, i == 0);
  }
  for (size_t d = 0; d < vars.size(); ++d) {
    stage.func.bound(vars[d], 0, extent(type.dims[d]));
  }
  addStage(name, std::move(stage), output.stage);
}

} // namespace dnn::codegen
