#include "compiler/codegen/halide/pipeline.h"

#include "compiler/codegen/halide/copy_with_use.h"
#include "compiler/codegen/halide/fetch_next_row.h"
#include "compiler/codegen/halide/pipeline_loops.h"
#include "compiler/codegen/halide/read_written.h"
#include "compiler/codegen/halide/sum_while_made.h"

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

PipelineBuilder::PipelineBuilder(const schedule::Kernel& kernel, const schedule::Schedule& schedule)
    : kernel_(kernel), function_(*kernel.function), schedule_(schedule) {
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
  auto defineOps = [&](bool beside) {
    for (uint32_t position = 0; position < function_.body.ops.size(); ++position) {
      auto how = scheduleOf_.find(function_.body.ops[position]);
      if ((how != scheduleOf_.end() && how->second->beside) == beside) {
        defineOp(position);
      }
    }
  };
  defineOps(false);
  std::vector<Func> outputs;
  std::vector<bool> written(function_.returns.size());
  std::vector<KernelArg> outputArgs;
  for (uint32_t number = 0; number < schedule_.outputs.size(); ++number) {
    if (number + 1 == schedule_.outputs.size()) { // what is beside the others reads them
      defineOps(true);
    }
    defineOutput(number, built);
    outputs.push_back(stages_.at("out" + std::to_string(number)).func);
    for (uint32_t index : storeOrder(schedule_.outputs[number].returns)) {
      written[index] = true;
      outputArgs.push_back({KernelArg::Kind::Output, index});
    }
  }
  for (uint32_t index = 0; index < written.size(); ++index) {
    if (!written[index]) {
      const Value* v = function_.returns[index];
      size_t position = static_cast<size_t>(std::ranges::find(function_.body.ops, v->def) - function_.body.ops.begin());
      Func func = stages_.at("op" + std::to_string(position)).func;
      bindOutput(func.output_buffer(), index, true);
      outputs.push_back(func);
      outputArgs.push_back({KernelArg::Kind::Output, index});
    }
  }
  for (const auto& [stageName, how] : toSchedule_) {
    applySchedule(stages_.at(stageName), *how, stages_);
  }
  built.pipeline = Halide::Pipeline(outputs);
  if (!copiedWithUse_.empty()) {
    built.pipeline.add_custom_lowering_pass(new CopyWithUse(copiedWithUse_)); // the pipeline deletes it
  }
  std::map<std::string, FetchedForTile> fetching;
  FetchNextRow::Stages rows;
  for (const auto& [op, how] : scheduleOf_) {
    for (uint32_t operand : how->fetchesNextRowOf) {
      const Value* read = op->operands.at(operand);
      rows[stages_.at("op" + std::to_string(how->op)).func.name()].emplace_back(
          images_.at(read).name(), static_cast<int32_t>(read->type.dims.back().constant()));
    }
    std::string stage = "op" + std::to_string(how->op);
    bool tile = how->winogradSums || how->blocks;
    if (tile && (how->fetchesOverwritten || (how->blocks && !how->blocks->fetched.empty()))) {
      fetching[stages_.at(stage + "_tile").func.name()] = fetchedFor(*how);
    } else if (how->fetchesOverwritten || how->fetchesWritten || !how->fetchedWithTile.empty()) {
      fetching[stages_.at(stage).func.name()] = fetchedFor(*how);
    }
  }
  if (!fetching.empty()) {
    built.pipeline.add_custom_lowering_pass(new FetchForTile(std::move(fetching)));
  }
  if (!rows.empty()) {
    built.pipeline.add_custom_lowering_pass(new FetchNextRow(std::move(rows)));
  }

  SumWhileMade::Sums sums;
  for (const schedule::OpSchedule& how : schedule_.ops) {
    if (how.lanes && how.lanes->with) {
      const Func& values = stages_.at("op" + std::to_string(*how.lanes->with)).func;
      const Func& lanes = stages_.at("op" + std::to_string(how.op) + "_lanes").func;
      sums[values.name()].push_back({lanes.name(), static_cast<int32_t>(how.lanes->width)});
    }
  }
  if (!sums.empty()) {
    built.pipeline.add_custom_lowering_pass(new SumWhileMade(std::move(sums)));
  }

  for (const Op* op : function_.body.ops) {
    if (op->kind == OpKind::Input && !overwritten_.contains(op->results[0])) {
      built.arguments.push_back(images_.at(op->results[0]));
      built.kernelArgs.push_back({KernelArg::Kind::Input, inputNumber_.at(op->results[0])});
    }
  }
  addReread(built, outputs, outputArgs);
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
  for (const auto& [site, param] : sites_) {
    built.arguments.push_back(param);
    built.kernelArgs.push_back({KernelArg::Kind::Site, site});
  }
  built.kernelArgs.insert(built.kernelArgs.end(), outputArgs.begin(), outputArgs.end());
  return built;
}

FetchedForTile PipelineBuilder::fetchedFor(const schedule::OpSchedule& how) const {
  FetchedForTile fetched;
  fetched.overwritten = how.fetchesOverwritten;
  fetched.written = how.fetchesWritten;
  if (how.fetchesWritten || !how.fetchedWithTile.empty()) {
    fetched.output = stages_.at(how.stage.atStage).func.name();
  }
  for (const schedule::FetchWithTile& read : how.fetchedWithTile) {
    const Value* v = function_.body.ops.at(read.input)->results[0];
    fetched.reads.push_back(
        {images_.at(v).name(), read.elements, read.each, read.ahead, byteSize(v->type.dtype), read.soon});
  }
  if (how.blocks && !how.blocks->fetched.empty()) {
    fetched.nest = stages_.at(how.blocks->tile.atStage).func.name();
    fetched.tiles = how.blocks->tiles;
    for (const schedule::FetchWithBlock& read : how.blocks->fetched) {
      const Value* v = function_.body.ops.at(read.input)->results[0];
      fetched.blocks.emplace_back(images_.at(v).name(), read.elements * byteSize(v->type.dtype));
    }
  }
  return fetched;
}

void PipelineBuilder::addReread(BuiltPipeline& built, std::vector<Func>& outputs,
                                const std::vector<KernelArg>& outputArgs) const {
  std::vector<Halide::Parameter> buffers;
  for (Func& func : outputs) {
    for (const Halide::OutputImageParam& buffer : func.output_buffers()) {
      buffers.push_back(buffer.parameter());
    }
  }
  auto bufferOf = [&](uint32_t index) {
    return buffers.at(
        static_cast<size_t>(std::ranges::find(outputArgs, index, &KernelArg::index) - outputArgs.begin()));
  };
  std::map<std::string, Halide::Parameter> written;
  for (const auto& [index, input] : reread_) {
    built.arguments.push_back(input);
    built.kernelArgs.push_back({KernelArg::Kind::Output, index});
    written.emplace(input.name(), bufferOf(index));
  }
  for (uint32_t index = 0; index < kernel_.unalignedReturns.size(); ++index) {
    if (kernel_.unalignedReturns[index]) { // stages that read an output take its buffer for memory of the kernel's own
      written.emplace(bufferOf(index).name(), bufferOf(index));
    }
  }
  if (!written.empty()) {
    built.pipeline.add_custom_lowering_pass(new ReadWritten(std::move(written))); // the pipeline deletes it
  }
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
    if (input && !schedule_.byRows) {
      isOverwritten.at(*input) = true;
    }
  }
  for (const auto& [value, index] : inputNumber_) {
    const TensorType& type = value->type;
    if (isOverwritten[index]) {
      continue;
    }
    bool aligned = kernel_.unalignedInputs.empty() || !kernel_.unalignedInputs[index];
    images_.emplace(value, denseImage(type, "in" + std::to_string(index), aligned));
  }
  for (uint32_t index : schedule_.reread) {
    bool aligned = kernel_.unalignedReturns.empty() || !kernel_.unalignedReturns[index];
    reread_.emplace(index, denseImage(function_.returns[index]->type, "written" + std::to_string(index), aligned));
  }
}

Halide::ImageParam PipelineBuilder::denseImage(const TensorType& type, const std::string& name, bool aligned) {
  Halide::ImageParam image(storageType(type.dtype), static_cast<int>(type.rank()), name);
  Expr stride = 1;
  for (size_t d = 0; d < type.rank(); ++d) {
    const Dim& dim = type.dims[type.rank() - 1 - d];
    image.dim(static_cast<int>(d)).set_bounds(0, extent(dim)).set_stride(stride);
    stride = Halide::Internal::simplify(stride * extent(dim));
  }
  if (aligned) {
    image.set_host_alignment(64);
  }
  return image;
}

void PipelineBuilder::bindOutput(Halide::OutputImageParam buffer, uint32_t index, bool withBounds) {
  const TensorType& type = function_.returns.at(index)->type;
  Expr stride = 1;
  for (size_t d = 0; d < type.rank(); ++d) {
    const Dim& dim = type.dims[type.rank() - 1 - d];
    if (withBounds) {
      buffer.dim(static_cast<int>(d)).set_bounds(0, extent(dim));
    }
    buffer.dim(static_cast<int>(d)).set_stride(stride);
    stride = Halide::Internal::simplify(stride * extent(dim));
  }
  if (kernel_.unalignedReturns.empty() || !kernel_.unalignedReturns[index]) {
    buffer.set_host_alignment(64);
  }
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
  auto [site, isNew] = sites_.try_emplace(e.site);
  if (isNew) {
    site->second = Halide::Param<uint32_t>("site_" + std::to_string(e.site));
  }
  return draw(e.distribution, {seedLo_, seedHi_, step_}, site->second, lo, hi);
}

bool PipelineBuilder::isInline(const Op& op) const {
  const schedule::OpSchedule& how = *scheduleOf_.at(&op);
  return how.stage.placement == Placement::Inline && !how.winograd && !how.winogradSums && !how.turned;
}

RDom PipelineBuilder::domainOf(const std::vector<Expr>& extents, const std::string& name) const {
  Halide::Region region;
  for (const Expr& e : extents) {
    region.emplace_back(0, e);
  }
  return RDom(region, name);
}

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
  if (isInline(op) || how.joinedWith) {
    return;
  }
  if (op.kind == OpKind::Scatter) {
    defineScatter(op, name);
    return;
  }
  for (size_t i = 0; i < how.packs.size(); ++i) {
    definePack(op, how.packs[i], name + "_pack" + std::to_string(i));
  }
  for (size_t i = 0; i < how.halos.size(); ++i) {
    defineHalo(op, how.halos[i], name + "_halo" + std::to_string(i));
  }
  if (op.kind == OpKind::Comp && op.reduction != Reduction::None) {
    if (how.values) {
      defineValues(op, *how.values, name + "_values");
    }
    if (how.writtenOut) {
      defineWrittenOut(op, name);
    } else if (how.winograd) {
      defineWinograd(op, how, name);
    } else if (how.winogradSums) {
      defineWinogradSums(op, how, name);
    } else if (how.blocks) {
      defineBlocks(op, how, name);
    } else if (how.lanes) {
      defineLanes(op, how, name);
    } else if (how.accumulator && !isArg(op.reduction)) {
      defineAccumulated(op, how, name);
    } else {
      defineReduction(op, how, name);
    }
    return;
  }
  const TensorType& type = op.results[0]->type;
  std::vector<Var> vars = dimVars(type.rank());
  Stage stage{named(name), {dimLoops(vars)}};
  stage.func(innermostFirst(vars)) = toStorage(inlined(op, asExprs(vars)), type.dtype);
  addStage(name, std::move(stage), how.stage);
}

} // namespace dnn::codegen
