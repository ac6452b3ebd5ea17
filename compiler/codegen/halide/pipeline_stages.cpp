// Stages without a reduction: scatters, packs, outputs.
#include "compiler/codegen/halide/pipeline_loops.h"

#include <algorithm>
#include <unordered_set>

namespace dnn::codegen {

using graph::Op;
using graph::Value;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using schedule::Placement;

void PipelineBuilder::defineScatter(const Op& op, const std::string& name) {
  const TensorType& type = op.results[0]->type;
  std::vector<Var> vars = dimVars(type.rank());
  std::vector<Expr> extents, indices, target;
  for (const graph::IndexVar& index : op.dims) {
    extents.push_back(extent(index.extent));
  }
  RDom domain = domainOf(innermostFirst(extents), "r");
  Stage stage{named(name), {dimLoops(vars), LoopNames{}}};
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

void PipelineBuilder::definePack(const Op& op, const schedule::Pack& pack, const std::string& name) {
  auto extentOf = [&](uint32_t index) {
    return extent(index < op.dims.size() ? op.dims[index].extent : op.reduced[index - op.dims.size()].extent);
  };
  auto loopOf = [&](uint32_t index) {
    return index < op.dims.size() ? dimLoop(index) : reducedLoop(index - op.dims.size());
  };
  Var along(loopOf(pack.along)), panel("panel");
  std::vector<Var> vars = {along};
  std::vector<Expr> indices(op.dims.size() + op.reduced.size());
  for (uint32_t other : pack.others) {
    vars.emplace_back(loopOf(other));
    indices[other] = vars.back();
  }
  Expr size = extentOf(pack.along);
  int32_t width = static_cast<int32_t>(pack.multiple);
  if (width > 0) {
    vars.push_back(panel);
  }
  auto valueAt = [&](const Expr& index) {
    indices[pack.along] = index;
    return toStorage(lowering(op, indices).lower(pack.part), pack.part->dtype);
  };
  Stage stage{named(name), {dimLoops(vars)}};
  Expr start = width > 0 ? panel * width : Expr(0);
  if (pack.block) {
    Stage block{named(name + "_block"), {dimLoops(vars)}};
    block.func(vars) = valueAt(Halide::clamp(start + along, 0, size - 1));
    stage.func(vars) = block.func(asExprs(vars));
    addStage(name + "_block", std::move(block), *pack.block);
  } else if (pack.padded) {
    // Whole panels, then what is left: each is a vector copy without a condition for each element. The promises are
    // about the start of the panel only, so that vectors of neighbouring elements are seen as such.
    using Halide::Internal::simplify;
    stage.func(vars) = Halide::undef(storageType(pack.part->dtype));
    auto define = [&](const Expr& extent, const Expr& here, const Expr& from, const char* rdom) {
      if (Halide::Internal::is_const_zero(extent) || Halide::Internal::is_const_zero(here)) {
        stage.loops.push_back(std::nullopt);
        return;
      }
      RDom within(0, extent, rdom);
      within.where(here);
      std::vector<Expr> args = asExprs(vars);
      args[0] = within.x;
      stage.func(args) = valueAt(from + within.x);
      stage.loops.push_back(dimLoops(vars));
      stage.loops.back()->insert_or_assign(along.name(), within.x);
    };
    Expr panels = simplify(size / width), last = simplify(panels * width);
    define(Halide::Internal::is_const_zero(panels) ? Expr(0) : Expr(width), panel < panels,
           Halide::unsafe_promise_clamped(start, 0, last - width), "p");
    define(simplify(size % width), panel >= panels, last, "q");
  } else {
    stage.func(vars) = valueAt(start + along);
  }
  stage.func.bound(along, 0, width > 0 ? Expr(width) : size);
  if (pack.pitch > 0) {
    stage.func.align_storage(along, static_cast<int32_t>(pack.pitch));
  }
  for (uint32_t i = 0; i < pack.others.size() - pack.outside; ++i) {
    stage.func.bound(vars[i + 1], 0, extentOf(pack.others[i]));
  }
  if (width > 0 && (pack.stage.placement == Placement::Root || pack.outside > 0)) {
    stage.func.bound(panel, 0, Halide::Internal::simplify((size + width - 1) / width));
  }
  if (pack.ahead > 0) {
    copiedWithUse_.emplace(stage.func.name(), static_cast<int32_t>(pack.ahead));
  }
  addStage(name, std::move(stage), pack.stage);
}

namespace {

bool dependsOn(const Value* value, const Value* input) {
  std::unordered_set<const Value*> seen;
  std::vector<const Value*> work = {value};
  while (!work.empty()) {
    const Value* v = work.back();
    work.pop_back();
    if (v == input) {
      return true;
    }
    if (v->def != nullptr && seen.insert(v).second) {
      work.insert(work.end(), v->def->operands.begin(), v->def->operands.end());
    }
  }
  return false;
}

} // namespace

/// The results of an output, each before those whose old values it reads: Halide 21 stores the elements of a tuple one
/// after the other and may read an element again that it has just written.
std::vector<uint32_t> PipelineBuilder::storeOrder(const std::vector<uint32_t>& returns) const {
  std::vector<const Value*> inputs(inputNumber_.size());
  for (const auto& [value, index] : inputNumber_) {
    inputs[index] = value;
  }
  auto oldOf = [&](uint32_t index) -> const Value* {
    return index < kernel_.inPlace.size() && kernel_.inPlace[index] ? inputs[*kernel_.inPlace[index]] : nullptr;
  };
  std::vector<uint32_t> order;
  std::vector<uint32_t> left = returns;
  while (!left.empty()) {
    auto next = std::ranges::find_if(left, [&](uint32_t candidate) {
      const Value* old = oldOf(candidate);
      return std::ranges::none_of(left, [&](uint32_t other) {
        return other != candidate && old != nullptr && dependsOn(function_.returns[other], old);
      });
    });
    if (next == left.end()) {
      next = left.begin(); // each reads the other
    }
    order.push_back(*next);
    left.erase(next);
  }
  return order;
}

void PipelineBuilder::defineOutput(uint32_t number, BuiltPipeline&) {
  const schedule::OutputSchedule& output = schedule_.outputs[number];
  const std::vector<uint32_t> returns = storeOrder(output.returns);
  std::string name = "out" + std::to_string(number);
  const TensorType& type = function_.returns.at(returns.front())->type;
  std::vector<Var> vars = dimVars(type.rank());
  Stage stage{named(name), {dimLoops(vars)}};
  bool single = returns.size() == 1;
  bool inPlace = false;
  std::vector<const Value*> inputs(inputNumber_.size());
  for (const auto& [value, index] : inputNumber_) {
    inputs[index] = value;
  }
  std::vector<Expr> undefined;
  for (size_t i = 0; i < returns.size(); ++i) {
    uint32_t index = returns[i];
    undefined.push_back(Halide::undef(storageType(function_.returns[index]->type.dtype)));
    if (index < kernel_.inPlace.size() && kernel_.inPlace[index] && !schedule_.byRows) {
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
  for (uint32_t index : returns) {
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
    bindOutput(buffers[i], returns[i], i == 0);
  }
  for (size_t d = 0; d < vars.size(); ++d) {
    stage.func.bound(vars[d], 0, extent(type.dims[d]));
  }
  addStage(name, std::move(stage), output.stage);
}

} // namespace dnn::codegen
