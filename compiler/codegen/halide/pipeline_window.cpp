// Sums over windows: halos, and sums in blocks for small results.
#include "compiler/codegen/halide/pipeline_loops.h"
#include "compiler/support/assert.h"

#include <algorithm>

namespace dnn::codegen {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace {

std::string subscriptLoop(size_t position) { return "s" + std::to_string(position); }
std::string outerLoop(size_t position) { return "q" + std::to_string(position); }

/// Whether the places of a halo along a subscript that is an index of its own may lie past the end of the tensor.
bool mayPassEnd(const schedule::Halo& halo, size_t subscript, const Dim& extent) {
  if (halo.bounds[subscript]) {
    auto [from, count] = *halo.bounds[subscript];
    return !extent.isStatic() || from + count > extent.constant();
  }
  auto tile = std::ranges::find(halo.stage.tile, subscriptLoop(subscript), &std::pair<std::string, int64_t>::first);
  return tile != halo.stage.tile.end() && !(extent.isStatic() && extent.constant() % tile->second == 0);
}

} // namespace

void PipelineBuilder::defineHalo(const Op& op, const schedule::Halo& halo, const std::string& name) {
  const TensorType& type = op.operands[halo.access->operand]->type;
  std::vector<Var> vars;
  std::vector<Expr> indices(op.dims.size() + op.reduced.size()), places;
  std::vector<Expr> inside; // of each subscript that may lie outside
  graph::RangeAnalysis ranges(op, function_.symbols);
  bool borders = std::ranges::count(scheduleOf_.at(&op)->trimmed, halo.access) == 0;
  for (size_t d = 0; d < halo.access->args.size(); ++d) {
    ExprRef subscript = halo.access->args[d];
    vars.emplace_back(subscriptLoop(d));
    Expr size = extent(type.dims[d]);
    if (subscript->kind == ExprKind::Index || subscript->kind == ExprKind::Const || !borders) {
      // Columns and rows of blocks are there for whole tiles; those past the end repeat the last one.
      bool past = halo.beyond || mayPassEnd(halo, d, type.dims[d]);
      places.push_back(past ? Halide::clamp(Expr(vars.back()), 0, size - 1) : Expr(vars.back()));
      if (subscript->kind == ExprKind::Index) {
        indices[subscript->index] = places.back();
      }
      continue;
    }
    if (halo.access->fill && !ranges.alwaysInRange(subscript, type.dims[d])) {
      inside.push_back(vars.back() >= 0 && vars.back() < size);
    }
    places.push_back(Halide::clamp(Expr(vars.back()), 0, size - 1));
  }
  ExprLowering bodies = lowering(op, indices);
  graph::forEachNode(halo.part, [&](ExprRef e) {
    if (e->kind != ExprKind::Access || e->args != halo.access->args) {
      return;
    }
    const graph::Value* operand = op.operands[e->operand];
    Expr value = element(operand, places);
    // Places within are loops of their own (`likely`): conditions would take several times as long as a copy.
    for (size_t i = inside.size(); e->fill && i-- > 0;) {
      value = Halide::select(inside[i], Halide::likely(value), constant(*e->fill, e->dtype));
    }
    bodies.replace(e, value);
  });
  Stage stage{named(name), {dimLoops(vars)}};
  stage.func(innermostFirst(vars)) = toStorage(bodies.lower(halo.part), halo.part->dtype);
  for (size_t d = 0; d < vars.size(); ++d) {
    if (halo.bounds[d]) {
      auto [from, extent] = *halo.bounds[d];
      stage.func.bound(vars[d], static_cast<int32_t>(from), static_cast<int32_t>(extent));
    }
  }
  if (halo.pitch > 0) {
    stage.func.align_storage(vars.back(), static_cast<int32_t>(halo.pitch));
  }
  addStage(name, std::move(stage), halo.stage);
}

void PipelineBuilder::leaveOut(const Op& op, const schedule::OpSchedule& how, const std::vector<Expr>& indices,
                               RDom& domain) {
  graph::RangeAnalysis ranges(op, function_.symbols);
  ExprLowering places = lowering(op, indices);
  for (ExprRef access : how.trimmed) {
    const TensorType& type = op.operands[access->operand]->type;
    for (size_t d = 0; d < access->args.size(); ++d) {
      if (!ranges.alwaysInRange(access->args[d], type.dims[d])) {
        Expr place = Halide::cast<int32_t>(places.lower(access->args[d]));
        domain.where(place >= 0 && place < extent(type.dims[d]));
      }
    }
  }
}

Expr PipelineBuilder::reductionBody(const Op& op, const schedule::OpSchedule& how, const std::string& name,
                                    const std::vector<Expr>& indices) {
  std::vector<Expr> kept = indices;
  for (uint32_t d : how.clamped) {
    kept[d] = Halide::clamp(indices[d], 0, extent(op.dims[d].extent) - 1);
  }
  ExprLowering bodies = loweringPacked(op, how, dimVars(op.dims.size()), kept);
  ExprLowering places = lowering(op, indices);
  auto haloAt = [&](size_t number, const std::vector<Expr>& args) {
    const Func& func = stages_.at(name + "_halo" + std::to_string(number)).func;
    return fromStorage(func(innermostFirst(args)), how.halos[number].part->dtype);
  };
  for (size_t i = 0; i < how.halos.size(); ++i) {
    const schedule::Halo& halo = how.halos[i];
    std::vector<Expr> args;
    for (ExprRef subscript : halo.access->args) {
      bool bare = subscript->kind == ExprKind::Index;
      // A window may reach past the end, where the halo goes on; a bare index has nothing there.
      args.push_back(bare ? kept[subscript->index] : Halide::cast<int32_t>(places.lower(subscript)));
    }
    bodies.replace(halo.part, haloAt(i, args));
  }
  graph::RangeAnalysis ranges(op, function_.symbols);
  for (ExprRef access : how.trimmed) {
    const graph::Value* operand = op.operands[access->operand];
    auto copied = std::ranges::find(how.halos, access, &schedule::Halo::access);
    std::vector<Expr> args;
    for (size_t d = 0; d < access->args.size(); ++d) {
      Expr place = Halide::cast<int32_t>(places.lower(access->args[d])), size = extent(operand->type.dims[d]);
      bool inRange = ranges.alwaysInRange(access->args[d], operand->type.dims[d]);
      if (copied != how.halos.end()) { // the places that exist, and whole vectors along an index of its own
        bool bare = access->args[d]->kind == ExprKind::Index;
        args.push_back(bare || inRange ? place : Halide::clamp(place, 0, size - 1));
      } else {
        args.push_back(inRange ? promised(access->args[d], place, size) : Halide::clamp(place, 0, size - 1));
      }
    }
    bodies.replace(access, copied != how.halos.end() ? haloAt(static_cast<size_t>(copied - how.halos.begin()), args)
                                                     : element(operand, args));
  }
  return bodies.lower(op.body);
}

void PipelineBuilder::defineBlocks(const Op& op, const schedule::OpSchedule& how, const std::string& name) {
  const schedule::Blocks& plan = *how.blocks;
  DNN_ASSERT(op.reduction == Reduction::Add, "blocks are added");
  DType dtype = op.body->dtype;
  std::vector<Var> vars = dimVars(op.dims.size());
  LoopNames loops = dimLoops(vars);

  // The sum over one block: q0 … are the indices outside of it, the last one is its number.
  std::vector<Var> tileVars = innermostFirst(vars), outerVars;
  std::vector<Expr> indices = asExprs(vars), inner;
  for (size_t q = 0; q <= plan.cut; ++q) {
    outerVars.emplace_back(outerLoop(q));
    tileVars.push_back(outerVars.back());
  }
  inner.push_back(static_cast<int32_t>(plan.length));
  for (size_t q = plan.cut + 1; q < op.reduced.size(); ++q) {
    inner.push_back(extent(op.reduced[q].extent));
  }
  RDom domain = domainOf(innermostFirst(inner), "r");
  Stage sum{named(name + "_tile"), {loops, loops}};
  for (size_t q = 0; q < op.reduced.size(); ++q) {
    if (q < plan.cut) {
      indices.push_back(outerVars[q]);
      continue;
    }
    Halide::RVar r = domain[static_cast<int>(op.reduced.size() - 1 - q)];
    sum.loops[1]->emplace(reducedLoop(q), r);
    if (q > plan.cut) {
      indices.emplace_back(r);
      continue;
    }
    Expr index = outerVars[q] * static_cast<int32_t>(plan.length) + r, size = extent(op.reduced[q].extent);
    if (!plan.divide(op.reduced[q].extent)) {
      domain.where(index < size);
      index = Halide::clamp(index, 0, size - 1); // what a block reads is copied before the condition is tested
    }
    indices.push_back(index);
  }
  std::vector<Expr> tileArgs(tileVars.begin(), tileVars.end());
  sum.func(tileVars) = toStorage(constant(0, dtype), dtype);
  sum.func(tileArgs) = sum.func(tileArgs) + mentioning(domain, reductionBody(op, how, name, indices));
  Func tile = sum.func;
  addStage(name + "_tile", std::move(sum), plan.tile);

  // The blocks of one piece.
  Var s("s");
  std::vector<Var> pieceVars = innermostFirst(vars);
  pieceVars.push_back(s);
  LoopNames pieceLoops = loops;
  pieceLoops.emplace("s", s);
  std::vector<Expr> outer;
  for (size_t q = 0; q <= plan.cut; ++q) {
    Expr size = extent(op.reduced[q].extent);
    int32_t length = static_cast<int32_t>(plan.length);
    size = q == plan.cut ? Halide::Internal::simplify((size + (length - 1)) / length) : size;
    outer.push_back(size);
  }
  Expr whole = outer[plan.outer];
  if (plan.pieces > 1) {
    outer[plan.outer] = static_cast<int32_t>(plan.pieceLength);
  }
  RDom blocks = domainOf(innermostFirst(outer), "q");
  Stage partial{named(name + "_pieces"), {pieceLoops, pieceLoops}};
  std::vector<Expr> pieceArgs(pieceVars.begin(), pieceVars.end()), blockArgs = innermostFirst(asExprs(vars));
  for (size_t q = 0; q <= plan.cut; ++q) {
    Halide::RVar r = blocks[static_cast<int>(plan.cut - q)];
    partial.loops[1]->emplace(outerLoop(q), r);
    Expr index = r;
    if (q == plan.outer && plan.pieces > 1) {
      index = s * static_cast<int32_t>(plan.pieceLength) + r;
      if (!Halide::Internal::is_const(whole, plan.pieces * plan.pieceLength)) {
        blocks.where(index < whole);
        index = Halide::clamp(index, 0, whole - 1); // halos are made before the condition is tested
      }
    }
    blockArgs.push_back(index);
  }
  partial.func(pieceVars) = toStorage(constant(0, dtype), dtype);
  partial.func(pieceArgs) = partial.func(pieceArgs) + mentioning(blocks, tile(blockArgs));
  partial.func.bound(s, 0, static_cast<int32_t>(plan.pieces));
  for (auto [d, size] : plan.padded) {
    partial.func.bound(vars[d], 0, static_cast<int32_t>(size));
  }
  std::vector<Expr> parts;
  for (int32_t piece = 0; piece < plan.pieces; ++piece) {
    pieceArgs.back() = piece;
    parts.push_back(partial.func(pieceArgs));
  }
  while (parts.size() > 1) { // a balanced tree
    std::vector<Expr> sums;
    for (size_t i = 0; i < parts.size(); i += 2) {
      sums.push_back(i + 1 < parts.size() ? parts[i] + parts[i + 1] : parts[i]);
    }
    parts = std::move(sums);
  }
  addStage(name + "_pieces", std::move(partial), plan.partial);
  Stage total{named(name), {dimLoops(vars)}};
  total.func(innermostFirst(vars)) = parts[0];
  addStage(name, std::move(total), how.stage);
}

} // namespace dnn::codegen
