// Sums over windows of 3 × 3 as products of transformed blocks (winograd.h).
//
//   the weights' transform, once
//   for each task: images
//     for each block that fits the second cache             rows of blocks of results, of one or of several images
//       halo; its transform                                 (m + 2)² planes of blocks × channels
//       for each plane                                      a product of matrices in register tiles
//       for each block of results: transform back, epilogue, written to the outputs
#include "compiler/schedule/templates.h"
#include "compiler/schedule/winograd.h"

#include <algorithm>

namespace dnn::schedule {

using graph::Op;

namespace {

class WinogradScheduler {
public:
  WinogradScheduler(const Analysis& analysis, const Machine& machine, const WindowShape& window,
                    const WinogradShape& shape, const WinogradPlan& plan)
      : analysis_(analysis), machine_(machine), window_(window), shape_(shape), plan_(plan), op_(*window.op) {}

  std::optional<Schedule> run() {
    schedule_ = placeStages(analysis_, &op_);
    inlineHalos(window_, analysis_, schedule_);
    schedule_.family = "winograd " + print(plan_);
    how_ = &*std::ranges::find(schedule_.ops, analysis_.positionOf(op_), &OpSchedule::op);
    auto home = std::ranges::find_if(schedule_.outputs, [&](const OutputSchedule& output) {
      return std::ranges::any_of(
          output.returns, [&](uint32_t index) { return isComputedFrom(analysis_.function.returns[index], op_); });
    });
    if (home == schedule_.outputs.end()) {
      return std::nullopt;
    }
    out_ = "out" + std::to_string(home - schedule_.outputs.begin());
    if (window_.inPlace) {
      home->stage.nests.push_back({});
    }
    home->stage.nests.push_back(outputNest());
    how_->stage.placement = Placement::Inline; // into the tiles of the outputs
    how_->winograd.emplace();
    describe(*how_->winograd);
    addHalo();
    transformWeights(*how_->winograd);
    transformData(*how_->winograd);
    multiply(*how_->winograd);
    transformBack(*how_->winograd);
    scheduleLoops(analysis_, machine_, schedule_, &op_);
    return std::move(schedule_);
  }

private:
  const Analysis& analysis_;
  const Machine& machine_;
  const WindowShape& window_;
  const WinogradShape& shape_;
  const WinogradPlan& plan_;
  const Op& op_;
  Schedule schedule_;
  OpSchedule* how_ = nullptr;
  std::string out_;

  static std::string dim(uint32_t d) { return "i" + std::to_string(d); }
  uint32_t rank() const { return static_cast<uint32_t>(op_.dims.size()); }
  std::string name(const char* stage) const { return "op" + std::to_string(how_->op) + stage; }
  std::string column() const { return dim(window_.column); }
  std::string channel() const { return "r" + std::to_string(shape_.channel); }
  int64_t extent(uint32_t index) const { return analysis_.extentOf(op_, index); }
  int64_t points() const { return plan_.outputs + 2; }
  int64_t blocks(size_t d) const { return roundUp(extent(shape_.dims[d]), plan_.outputs) / plan_.outputs; }
  int64_t wide() const { return plan_.vectors * window_.lanes; }
  int64_t channels() const { return roundUp(extent(rank() + shape_.channel), window_.lanes); }
  int64_t columns() const { return roundUp(extent(window_.column), wide()); }
  int64_t across() const { return roundUp(blocks(1), plan_.rows[1]); }
  int64_t down() const { return plan_.blockRows; }
  /// The dim outside of the two, of which several points are in a block.
  std::optional<uint32_t> item() const { return rank() > 3 ? std::optional(rank() - 4) : std::nullopt; }

  void describe(Winograd& how) const {
    how.outputs = plan_.outputs;
    how.dims = shape_.dims;
    how.taps = shape_.taps;
    how.channel = shape_.channel;
    how.data.first = shape_.first;
    how.backwards = shape_.backwards;
    how.data.subscripts = shape_.subscripts;
    how.data.channelSubscript = shape_.channelSubscript;
    how.weights = window_.operands[shape_.weights].part;
    how.columns = columns();
  }

  /// Conditions at the ends stay where they are: code for each case would be compiled several times.
  static Nest undivided(Nest nest) {
    for (const std::string& loop : nest.order) {
      bool whole = std::ranges::find(nest.vectorized, loop) == nest.vectorized.end() &&
                   std::ranges::find(nest.unrolled, loop) == nest.unrolled.end();
      if (whole) {
        nest.undivided.push_back(loop);
      }
    }
    return nest;
  }

  Nest outputNest() const {
    Nest nest;
    Tail tail = window_.unmasked || window_.inPlace           ? Tail::Guard
                : extent(window_.column) % window_.lanes == 0 ? Tail::RoundUp
                                                              : Tail::Predicate;
    nest.splits.push_back({column(), "vector", "lane", window_.lanes, tail});
    nest.vectorized = {"lane"};
    nest.order = {"lane"};
    std::vector<std::string> tileLoops;
    for (size_t d : {1, 0}) {
      std::string number = std::to_string(shape_.dims[d]), in = "in_tile" + number, tile = "tile" + number;
      bool whole = extent(shape_.dims[d]) % plan_.outputs == 0 && !window_.inPlace;
      Tail rows = whole ? Tail::RoundUp : Tail::Guard;
      nest.splits.push_back({dim(shape_.dims[d]), tile, in, plan_.outputs, rows});
      nest.order.push_back(in);
      nest.unrolled.push_back(in);
      tileLoops.push_back(tile);
    }
    nest.order.push_back("vector");
    nest.order.push_back(tileLoops[0]);
    nest.splits.push_back({tileLoops[1], "block", "in_block", down(), Tail::Guard});
    nest.order.push_back("in_block");
    if (item() && plan_.items > 1) {
      nest.splits.push_back({dim(*item()), "group", "in_group", plan_.items, Tail::Guard});
      nest.order.push_back("in_group");
    }
    nest.order.push_back("block");
    parallelize(nest);
    return undivided(std::move(nest));
  }

  void parallelize(Nest& nest) const {
    constexpr double fmaWork = 2; // vector instructions in a cycle
    bool worth = plan_.cycles * fmaWork >= parallelWork;
    int64_t groups = item() ? (extent(*item()) + plan_.items - 1) / plan_.items : 1;
    std::string group = item() ? plan_.items > 1 ? "group" : dim(*item()) : "";
    if (worth && groups >= 2) {
      nest.splits.push_back({group, "task", "piece", taskSize(machine_, groups), Tail::Guard});
      nest.order.push_back("piece");
      nest.order.push_back("task");
      nest.parallel = {"task"};
    } else {
      if (item()) {
        nest.order.push_back(group);
      }
      if (worth && blocks(0) > down()) {
        nest.parallel = {"block"};
      }
    }
    for (uint32_t d = item().value_or(0); d-- > 0;) {
      nest.order.push_back(dim(d));
    }
  }

  void addHalo() {
    const WindowOperand& data = window_.operands[shape_.data];
    Halo halo = winogradHalo(data, shape_.subscripts[1], shape_.channelSubscript, channels(), window_.lanes);
    halo.stage.placement = Placement::At;
    halo.stage.atStage = out_;
    halo.stage.atLoop = "block";
    for (uint32_t s = 0; s < data.window->args.size(); ++s) {
      std::string loop = "s" + std::to_string(s);
      if (s == shape_.subscripts[0] || s == shape_.subscripts[1]) {
        int64_t count = s == shape_.subscripts[0] ? down() : across();
        halo.stage.tile.emplace_back(loop, count * plan_.outputs + 2);
      }
    }
    how_->halos.push_back(std::move(halo));
  }

  void transformWeights(Winograd& how) const {
    how.weightRows.placement = Placement::At;
    how.weightRows.atStage = name("_weight_points");
    how.weightRows.atLoop = channel();
    how.weightRows.nests = {undivided(winogradPass(column(), "ky", {"lane", "ky", "v", "vector"}, window_.lanes))};

    how.weightPoints.placement = Placement::Root;
    how.weightPoints.tile = {{column(), columns()}};
    how.weightPoints.nests = {
        undivided(winogradPass(column(), "kx", {"lane", "kx", "vector", "ky", channel()}, window_.lanes))};
  }

  void transformData(Winograd& how) const {
    std::string outside = "ty"; // of the loops within a row of blocks
    how.data.rows.placement = Placement::At;
    how.data.rows.atStage = name("_data_points");
    how.data.rows.atLoop = outside;
    how.data.rows.tile = {{"x", across() * plan_.outputs + 2}};
    how.data.rows.nests = {undivided(winogradPass(channel(), "ky", {"lane", "ky", "vector", "x"}, window_.lanes))};

    how.data.points.placement = Placement::At;
    how.data.points.atStage = out_;
    how.data.points.atLoop = "block";
    how.data.points.tile = {{"tx", across()}, {"ty", down()}};
    Nest all = winogradPass(channel(), "kx", {"lane", "kx", "vector", "tx", "ky", outside}, window_.lanes);
    if (item()) {
      all.order.push_back(dim(*item()));
    }
    how.data.points.nests = {undivided(std::move(all))};
  }

  void multiply(Winograd& how) const {
    how.tile.placement = Placement::At;
    how.tile.atStage = name("_products");
    how.tile.atLoop = "tile_x";
    how.tile.tile = {{column(), wide()}, {"tx", plan_.rows[1]}, {"ty", plan_.rows[0]}};
    Nest start;
    start.splits = {{column(), "vector", "lane", window_.lanes, Tail::RoundUp}};
    start.vectorized = {"lane"};
    start.unrolled = {"vector", "tx", "ty"};
    start.order = {"lane", "vector", "tx", "ty"};
    Nest sum = start;
    sum.order.push_back(channel());
    sum = undivided(std::move(sum));
    unrollTerms(sum, channel(), extent(static_cast<uint32_t>(op_.dims.size()) + shape_.channel));
    how.tile.nests = {std::move(start), std::move(sum)};

    how.products.placement = Placement::At;
    how.products.atStage = out_;
    how.products.atLoop = "block";
    how.products.tile = {{column(), columns()}, {"tx", across()}, {"ty", down()}};
    Nest all;
    all.splits = {{column(), "panel", "columns", wide(), Tail::RoundUp},
                  {"columns", "vector", "lane", window_.lanes, Tail::RoundUp},
                  {"tx", "tile_x", "in_x", plan_.rows[1], Tail::RoundUp},
                  {"ty", "tile_y", "in_y", plan_.rows[0], Tail::RoundUp}};
    all.vectorized = {"lane"};
    all.unrolled = {"vector", "in_x", "in_y"};
    all.order = {"lane", "vector", "in_x", "in_y", "tile_x", "tile_y"};
    if (item()) {
      all.order.push_back(dim(*item()));
    }
    all.order.insert(all.order.end(), {"panel", "kx", "ky"});
    how.products.nests = {undivided(std::move(all))};
  }

  void transformBack(Winograd& how) const {
    how.resultRows.placement = Placement::At;
    how.resultRows.atStage = out_;
    how.resultRows.atLoop = "vector";
    how.resultRows.tile = {{column(), window_.lanes}, {"kx", points()}, {"tx", 1}, {"ty", 1}};
    Nest rows;
    rows.vectorized = {column()};
    rows.unrolled = {"kx"};
    how.resultRows.nests = {undivided(std::move(rows))};
  }
};

} // namespace

Halo winogradHalo(const WindowOperand& data, size_t rowSubscript, size_t channelSubscript, int64_t channels,
                  int64_t lanes) {
  Halo halo;
  halo.part = data.part;
  halo.access = data.window;
  halo.beyond = true;
  halo.bounds.resize(data.window->args.size());
  halo.bounds[channelSubscript] = std::pair<int64_t, int64_t>{0, channels};
  Nest nest;
  nest.splits.push_back({"s" + std::to_string(channelSubscript), "vector", "lane", lanes, Tail::RoundUp});
  nest.vectorized = {"lane"};
  // Along a row, so that what is computed of the channel alone stays in registers.
  nest.order = {"lane", "s" + std::to_string(rowSubscript), "vector"};
  halo.stage.nests = {std::move(nest)};
  return halo;
}

Nest winogradPass(const std::string& along, const std::string& products, std::vector<std::string> order,
                  int64_t lanes) {
  Nest nest;
  nest.splits.push_back({along, "vector", "lane", lanes, Tail::RoundUp});
  nest.vectorized = {"lane"};
  nest.unrolled = {products};
  nest.order = std::move(order);
  return nest;
}

std::optional<Schedule> scheduleWinograd(const Analysis& analysis, const Machine& machine, const WindowShape& window,
                                         const WinogradShape& shape, const WinogradPlan& plan) {
  return WinogradScheduler(analysis, machine, window, shape, plan).run();
}

} // namespace dnn::schedule
