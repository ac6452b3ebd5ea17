// Reductions: plain, in lanes, and accumulated tile by tile.
#include "compiler/codegen/halide/pipeline_loops.h"
#include "compiler/codegen/halide/scalar_math.h"
#include "compiler/support/assert.h"

namespace dnn::codegen {

using graph::Op;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace {

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

/// What the op chooses has passed a comparison, as in select(gt(%x[n], 0.0), %x[n], 0.0), which a NaN does not.
bool isNumber(const Op& op) {
  using graph::ExprKind;
  graph::ExprRef body = op.kind == graph::OpKind::Comp && op.reduction == Reduction::None ? op.body : nullptr;
  if (body == nullptr || body->kind != ExprKind::Apply || body->op != ScalarOp::Select) {
    return false;
  }
  graph::ExprRef test = body->args[0], otherwise = body->args[2];
  bool compares = test->kind == ExprKind::Apply && (test->op == ScalarOp::Gt || test->op == ScalarOp::Ge ||
                                                    test->op == ScalarOp::Lt || test->op == ScalarOp::Le);
  return compares && (test->args[0] == body->args[1] || test->args[1] == body->args[1]) &&
         otherwise->kind == ExprKind::Const && otherwise->number == otherwise->number;
}

} // namespace

void PipelineBuilder::defineValues(const Op& op, const schedule::StageSchedule& how, const std::string& name) {
  DNN_ASSERT(op.dims.empty() && op.reduced.size() == 1, "the values of a reduction to a scalar, along one index");
  std::vector<Var> vars = dimVars(1);
  Stage stage{named(name), {dimLoops(vars)}};
  stage.func(vars) = toStorage(lowering(op, asExprs(vars)).lower(op.body), op.body->dtype);
  addStage(name, std::move(stage), how);
}

ExprLowering PipelineBuilder::loweringPacked(const Op& op, const schedule::OpSchedule& how,
                                             const std::vector<Var>& vars, const std::vector<Expr>& indices) {
  ExprLowering bodies = lowering(op, indices);
  for (size_t i = 0; i < how.packs.size(); ++i) {
    const schedule::Pack& pack = how.packs[i];
    // The last panel is padded, so the pack's own index may run past the end; it is not clamped.
    Expr along = pack.along < vars.size() ? Expr(vars[pack.along]) : indices[pack.along];
    int32_t width = static_cast<int32_t>(pack.multiple);
    std::vector<Expr> args = {width > 0 ? along % width : along};
    for (uint32_t other : pack.others) {
      args.push_back(indices[other]);
    }
    if (width > 0) {
      args.push_back(along / width);
    }
    std::string stage = "op" + std::to_string(how.op) + "_pack" + std::to_string(i);
    bodies.replace(pack.part, fromStorage(stages_.at(stage).func(args), pack.part->dtype));
  }
  return bodies;
}

Expr PipelineBuilder::startOf(const Op& op, const schedule::OpSchedule& how, const std::vector<Expr>& indices) {
  Expr start = identity(op.reduction, op.body->dtype);
  if (op.reduction != Reduction::Max && op.reduction != Reduction::Min) {
    return start;
  }
  graph::RangeAnalysis ranges(op, function_.symbols);
  std::vector<Expr> first = indices, last = indices; // of the window
  for (size_t q = 0; q < op.reduced.size(); ++q) {
    first[op.dims.size() + q] = 0;
    last[op.dims.size() + q] = extent(op.reduced[q].extent) - 1;
  }
  for (graph::ExprRef access : how.trimmed) {
    Expr inside = Halide::Internal::const_true();
    const TensorType& type = op.operands[access->operand]->type;
    for (size_t d = 0; d < access->args.size(); ++d) {
      for (const std::vector<Expr>& at : {first, last}) {
        if (!ranges.alwaysInRange(access->args[d], type.dims[d])) {
          Expr place = Halide::cast<int32_t>(lowering(op, at).lower(access->args[d]));
          inside = inside && place >= 0 && place < extent(type.dims[d]);
        }
      }
    }
    start = Halide::select(inside, start, constant(*access->fill, access->dtype));
  }
  return start;
}

void PipelineBuilder::defineReduction(const Op& op, const schedule::OpSchedule& how, const std::string& name) {
  DType dtype = op.body->dtype;
  std::vector<Var> vars = dimVars(op.dims.size());
  std::vector<Expr> extents, indices = asExprs(vars);
  for (const graph::IndexVar& index : op.reduced) {
    extents.push_back(extent(index.extent));
  }
  RDom domain = domainOf(innermostFirst(extents), "r");
  bool tiled = how.turned || how.accumulator;
  Stage stage{named(tiled ? name + "_tile" : name), {dimLoops(vars), dimLoops(vars)}};
  for (size_t q = 0; q < op.reduced.size(); ++q) {
    Halide::RVar r = domain[static_cast<int>(op.reduced.size() - 1 - q)];
    indices.push_back(r);
    stage.loops[1]->emplace(reducedLoop(q), r);
  }
  leaveOut(op, how, indices, domain);
  Expr value = mentioning(domain, reductionBody(op, how, name, indices));
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
    func(innermostFirst(vars)) = toStorage(startOf(op, how, indices), dtype);
    func(args) = toStorage(combine(op.reduction, fromStorage(func(args), dtype), value), dtype);
  }
  if (how.accumulator) { // of a pair, the value has been needed in the registers only
    Stage found{named(name), {dimLoops(vars)}};
    found.func(innermostFirst(vars)) = func(args)[0];
    addStage(name + "_tile", std::move(stage), how.accumulator->stage);
    addStage(name, std::move(found), how.stage);
    return;
  }
  if (!how.turned) {
    addStage(name, std::move(stage), how.stage);
    return;
  }
  Stage lanes{named(name + "_lanes"), {dimLoops(vars)}}, turned{named(name), {dimLoops(vars)}};
  bool parts = how.turned->lanes.placement != schedule::Placement::Inline;
  lanes.func(args) = func(args);
  turned.func(args) = parts ? lanes.func(args) : func(args);
  if (how.stage.placement == schedule::Placement::Inline) { // whoever reads the result turns it
    stages_.emplace(name, parts ? lanes : stage);
  } else {
    stages_.emplace(name, turned);
    toSchedule_.emplace_back(name, &how.stage);
  }
  addStage(name + "_tile", std::move(stage), how.turned->tile);
  if (parts) {
    addStage(name + "_lanes", std::move(lanes), how.turned->lanes);
  }
}

void PipelineBuilder::defineWrittenOut(const Op& op, const std::string& name) {
  std::vector<Var> vars = dimVars(op.dims.size());
  Stage stage{named(name), {dimLoops(vars)}};
  const schedule::OpSchedule& how = *scheduleOf_.at(&op);
  Expr value = toStorage(writtenOut(op, asExprs(vars)), op.results[0]->type.dtype);
  if (how.turned) {
    Stage lanes{named(name + "_lanes"), {dimLoops(vars)}};
    lanes.func(innermostFirst(vars)) = value;
    value = lanes.func(innermostFirst(asExprs(vars)));
    addStage(name + "_lanes", std::move(lanes), how.turned->lanes);
  }
  stage.func(innermostFirst(vars)) = value;
  addStage(name, std::move(stage), how.stage);
}

Expr PipelineBuilder::writtenOut(const Op& op, const std::vector<Expr>& point) {
  std::vector<int32_t> counts;
  int32_t terms = 1;
  for (const graph::IndexVar& index : op.reduced) {
    counts.push_back(static_cast<int32_t>(index.extent.constant()));
    terms *= counts.back();
  }
  std::vector<Expr> values;
  for (int32_t term = 0; term < terms; ++term) { // in row-major order
    std::vector<Expr> indices = point;
    indices.resize(point.size() + counts.size());
    int32_t rest = term;
    for (size_t q = counts.size(); q-- > 0;) {
      indices[point.size() + q] = rest % counts[q];
      rest /= counts[q];
    }
    values.push_back(lowering(op, indices).lower(op.body));
  }
  if (isArg(op.reduction)) {
    Expr best = values[0], result = 0;
    for (int32_t term = 1; term < terms; ++term) {
      const Expr& value = values[static_cast<size_t>(term)];
      Expr better = op.reduction == Reduction::ArgMax ? lessThan(best, value) : lessThan(value, best);
      result = Halide::select(better, term, result);
      best = Halide::select(better, value, best);
    }
    return result;
  }
  bool numbers = op.body->kind == graph::ExprKind::Access && isNumber(*op.operands[op.body->operand]->def);
  if (numbers && (op.reduction == Reduction::Max || op.reduction == Reduction::Min)) {
    Expr result = values[0];
    for (size_t term = 1; term < values.size(); ++term) {
      result = op.reduction == Reduction::Max ? Halide::max(result, values[term]) : Halide::min(result, values[term]);
    }
    return result;
  }
  if (op.reduction == Reduction::Max || op.reduction == Reduction::Min) {
    return tree(op.reduction, values, 0, values.size());
  }
  Expr result = values[0];
  for (size_t term = 1; term < values.size(); ++term) {
    result = combine(op.reduction, result, values[term]);
  }
  return result;
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
  Stage stage{named(name + "_lanes"), {loops}};
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
    Expr value = mentioning(domain, reductionBody(op, how, name, indices));
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
  } else {
    stage.loops.push_back(std::nullopt);
  }
  int32_t left = width;
  for (size_t step = 3; step < lanes.stage.nests.size(); ++step) {
    left /= 4;
    RDom parts(0, left, "part");
    std::vector<Expr> quarters;
    for (int32_t quarter = 0; quarter < 4; ++quarter) {
      std::vector<Expr> args = innermostFirst(asExprs(vars));
      args.insert(args.begin(), parts.x + quarter * left);
      quarters.push_back(fromStorage(func(args), dtype));
    }
    std::vector<Expr> args = innermostFirst(asExprs(vars));
    args.insert(args.begin(), parts.x);
    func(args) = toStorage(tree(op.reduction, quarters, 0, quarters.size()), dtype);
    LoopNames names = dimLoops(vars);
    names.emplace("part", parts.x);
    stage.loops.push_back(std::move(names));
  }
  std::string laneName = name + "_lanes";
  func.bound(u, 0, width);
  addStage(laneName, stage, lanes.stage);

  Stage total{named(name), {dimLoops(vars)}};
  if (lanes.inVectors) {
    RDom lane(0, width, "l");
    std::vector<Expr> args = innermostFirst(asExprs(vars)), laneArgs = args;
    laneArgs.insert(laneArgs.begin(), lane.x);
    total.func(innermostFirst(vars)) = toStorage(identity(op.reduction, dtype), dtype);
    total.func(args) = combine(op.reduction, total.func(args), func(laneArgs));
    total.loops.push_back(dimLoops(vars));
    total.loops[1]->emplace("l", lane.x);
    addStage(name, std::move(total), how.stage);
    return;
  }
  std::vector<Expr> parts;
  for (int32_t lane = 0; lane < left; ++lane) {
    std::vector<Expr> args = innermostFirst(asExprs(vars));
    args.insert(args.begin(), lane);
    parts.push_back(fromStorage(func(args), dtype));
  }
  total.func(innermostFirst(vars)) = toStorage(tree(op.reduction, parts, 0, parts.size()), dtype);
  addStage(name, std::move(total), how.stage);
}

namespace {

/// One value, or a tuple of several.
void define(Func& func, const std::vector<Expr>& args, const std::vector<Expr>& values) {
  if (values.size() == 1) {
    func(args) = values[0];
  } else {
    func(args) = Halide::Tuple(values);
  }
}

Expr valueOf(const Func& func, const std::vector<Expr>& args, size_t index, size_t count) {
  return count == 1 ? Expr(func(args)) : Expr(func(args)[static_cast<int>(index)]);
}

} // namespace

void PipelineBuilder::defineAccumulated(const Op& op, const schedule::OpSchedule& how, const std::string& name) {
  const schedule::Accumulator& plan = *how.accumulator;
  std::vector<const Op*> ops = {&op};
  for (uint32_t position : how.joined) {
    ops.push_back(function_.body.ops[position]);
  }
  bool cut = plan.pieces > 1;
  std::vector<Var> vars = dimVars(op.dims.size());
  std::vector<Var> accVars = innermostFirst(vars), tileVars = accVars;
  LoopNames loops = dimLoops(vars), tileLoops = loops;
  Var s("s"), u("u");
  if (plan.chains > 1) {
    tileVars.push_back(u);
    tileLoops.emplace("u", u);
  }
  if (cut) {
    accVars.push_back(s);
    tileVars.push_back(s);
    loops.emplace("s", s);
    tileLoops.emplace("s", s);
  }
  std::vector<Expr> extents, indices = asExprs(vars);
  for (const graph::IndexVar& index : op.reduced) {
    extents.push_back(extent(index.extent));
  }
  Expr whole = extents[0];
  if (cut) {
    extents[0] = static_cast<int32_t>(plan.length);
  }
  int32_t chains = static_cast<int32_t>(plan.chains);
  extents.back() = Halide::Internal::simplify(extents.back() / chains);
  RDom domain = domainOf(innermostFirst(extents), "r");
  Stage sum{named(name + "_tile"), {tileLoops, tileLoops}};
  for (size_t q = 0; q < op.reduced.size(); ++q) {
    Halide::RVar r = domain[static_cast<int>(op.reduced.size() - 1 - q)];
    sum.loops[1]->emplace(reducedLoop(q), r);
    indices.push_back(q == 0 && cut ? s * static_cast<int32_t>(plan.length) + r : Expr(r));
  }
  if (chains > 1) {
    indices.back() = indices.back() * chains + u;
  }
  if (cut && !Halide::Internal::is_const(whole, plan.pieces * plan.length)) {
    Expr& first = indices[op.dims.size()];
    domain.where(first < whole);
    first = Halide::unsafe_promise_clamped(first, 0, whole - 1); // what stands before has no more points
  }
  leaveOut(op, how, indices, domain);
  std::vector<Expr> start, sums, tileArgs = asExprs(tileVars);
  for (const Op* each : ops) {
    start.push_back(toStorage(startOf(*each, how, indices), each->body->dtype));
  }
  define(sum.func, tileArgs, start);
  for (size_t i = 0; i < ops.size(); ++i) {
    DType dtype = ops[i]->body->dtype;
    Expr value = mentioning(domain, how.trimmed.empty() ? lowering(*ops[i], indices).lower(ops[i]->body)
                                                        : reductionBody(op, how, name, indices));
    Expr before = fromStorage(valueOf(sum.func, tileArgs, i, ops.size()), dtype);
    sums.push_back(toStorage(combine(ops[i]->reduction, before, value), dtype));
  }
  define(sum.func, tileArgs, sums);
  if (chains > 1) {
    sum.func.bound(u, 0, chains);
  }
  Func last = sum.func;
  addStage(name + "_tile", std::move(sum), plan.stage);

  // Of each op, its chains together; then its pieces.
  std::vector<Expr> accArgs = asExprs(accVars), ofChains, totals;
  for (size_t i = 0; i < ops.size(); ++i) {
    DType dtype = ops[i]->body->dtype;
    std::vector<Expr> parts;
    for (int32_t chain = 0; chain < chains; ++chain) {
      std::vector<Expr> args = accArgs;
      if (chains > 1) {
        args.insert(args.begin() + static_cast<std::ptrdiff_t>(vars.size()), chain);
      }
      parts.push_back(fromStorage(valueOf(last, args, i, ops.size()), dtype));
    }
    ofChains.push_back(toStorage(tree(ops[i]->reduction, parts, 0, parts.size()), dtype));
  }
  Stage total{named(name), {dimLoops(vars)}};
  if (!cut) {
    define(total.func, asExprs(innermostFirst(vars)), ofChains);
    addStage(name, std::move(total), how.stage);
    return;
  }
  Stage partial{named(name + "_pieces"), {loops}};
  define(partial.func, accArgs, ofChains);
  partial.func.bound(s, 0, static_cast<int32_t>(plan.pieces));
  for (size_t i = 0; i < ops.size(); ++i) {
    DType dtype = ops[i]->body->dtype;
    std::vector<Expr> parts;
    for (int32_t piece = 0; piece < plan.pieces; ++piece) {
      accArgs.back() = piece;
      parts.push_back(fromStorage(valueOf(partial.func, accArgs, i, ops.size()), dtype));
    }
    totals.push_back(toStorage(tree(ops[i]->reduction, parts, 0, parts.size()), dtype));
  }
  addStage(name + "_pieces", std::move(partial), plan.partial);
  define(total.func, asExprs(innermostFirst(vars)), totals);
  addStage(name, std::move(total), how.stage);
}

} // namespace dnn::codegen
