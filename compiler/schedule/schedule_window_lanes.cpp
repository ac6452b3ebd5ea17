// Sums over windows with another dim than the columns in the lanes: few channels, many images.
//
//   for each group of images, as many as a vector has lanes: the tasks
//     for each block of rows                          what it reads, with fill values around, images side by side
//       for each tile of places
//         for each part of the columns                a vector for each place and column stays in registers
//           for each point of the window, each channel
//             loads of the data's vectors, broadcasts of the weights, multiply-adds
//         the tile turned: columns side by side
//         epilogue, written image by image
//
// Images past the last one repeat it, and are not written.
#include "compiler/schedule/templates.h"
#include "compiler/schedule/window_lanes.h"

#include <algorithm>

namespace dnn::schedule {

using graph::ExprRef;
using graph::Op;

namespace {

class WindowLanes {
public:
  WindowLanes(const Analysis& analysis, const Machine& machine, const WindowShape& shape, const WindowLanesPlan& plan)
      : analysis_(analysis), machine_(machine), shape_(shape), plan_(plan), op_(*shape.op) {}

  std::optional<Schedule> run() {
    schedule_ = placeStages(analysis_, &op_);
    auto home = std::ranges::find_if(schedule_.outputs, [&](const OutputSchedule& output) {
      return std::ranges::any_of(
          output.returns, [&](uint32_t index) { return isComputedFrom(analysis_.function.returns[index], op_); });
    });
    if (home == schedule_.outputs.end()) {
      return std::nullopt;
    }
    schedule_.family = "window " + print(plan_);
    how_ = &*std::ranges::find(schedule_.ops, analysis_.positionOf(op_), &OpSchedule::op);
    out_ = "out" + std::to_string(home - schedule_.outputs.begin());
    home->stage.nests.push_back(outputNest());
    scheduleStages();
    addHalo();
    scheduleLoops(analysis_, machine_, schedule_, &op_);
    return std::move(schedule_);
  }

private:
  const Analysis& analysis_;
  const Machine& machine_;
  const WindowShape& shape_;
  const WindowLanesPlan& plan_;
  const Op& op_;
  Schedule schedule_;
  OpSchedule* how_ = nullptr;
  std::string out_, tileLoop_; // the output's stage, its loop around one tile

  static std::string dim(uint32_t d) { return "i" + std::to_string(d); }
  static std::string reduced(uint32_t q) { return "r" + std::to_string(q); }
  uint32_t rank() const { return static_cast<uint32_t>(op_.dims.size()); }
  int64_t extent(uint32_t index) const { return analysis_.extentOf(op_, index); }
  std::string columns() const { return dim(shape_.column); }
  std::string lane() const { return dim(plan_.dim); }

  int64_t tileOf(uint32_t d) const {
    auto found = std::ranges::find(plan_.rows, d, &std::pair<uint32_t, int64_t>::first);
    return found == plan_.rows.end() ? 1 : found->second;
  }

  Nest outputNest() {
    Nest nest;
    nest.vectorized = {columns()};
    nest.order = {columns()};
    nest.splits.push_back({lane(), "group", "lane", plan_.lanes, Tail::Guard});
    std::vector<std::string> inTiles, tileLoops;
    for (uint32_t d = rank(); d-- > plan_.blockDim;) {
      if (d == shape_.column || d == plan_.dim) {
        continue;
      }
      std::string current = dim(d), number = std::to_string(d);
      if (tileOf(d) > 1) {
        nest.splits.push_back({current, "tile" + number, "in_tile" + number, tileOf(d), Tail::RoundUp});
        inTiles.push_back("in_tile" + number);
        current = "tile" + number;
      }
      if (d == plan_.blockDim) {
        nest.splits.push_back({current, "block", "in_block", plan_.blockRows / tileOf(d), Tail::Guard});
        current = "in_block";
      }
      tileLoops.push_back(current);
    }
    tileLoop_ = tileLoops.front();
    nest.undivided = {"in_block", "block", "lane", "group"};
    nest.order.insert(nest.order.end(), inTiles.begin(), inTiles.end());
    nest.order.push_back("lane");
    nest.order.insert(nest.order.end(), tileLoops.begin(), tileLoops.end());
    nest.order.push_back("block");
    for (uint32_t d = plan_.blockDim; d-- > 0;) {
      if (d != plan_.dim) {
        nest.order.push_back(dim(d));
      }
    }
    nest.order.push_back("group");
    if (plan_.cycles * 2 >= parallelWork) {
      bool groups = extent(plan_.dim) >= machine_.cores * plan_.lanes;
      nest.parallel = {groups || plan_.blockRows == extent(plan_.blockDim) ? "group" : "block"};
    }
    return nest;
  }

  /// Of all columns, a tile of places, a vector of images.
  StageSchedule wholeTile() const {
    StageSchedule stage;
    stage.placement = Placement::At;
    stage.atStage = out_;
    stage.atLoop = tileLoop_;
    stage.tile = {{lane(), plan_.lanes}, {columns(), extent(shape_.column)}};
    for (auto& row : tileRows()) {
      stage.tile.push_back(row);
    }
    return stage;
  }

  std::vector<std::pair<std::string, int64_t>> tileRows() const {
    std::vector<std::pair<std::string, int64_t>> rows;
    for (auto [d, size] : plan_.rows) {
      rows.emplace_back(dim(d), size);
    }
    return rows;
  }

  void scheduleStages() {
    std::vector<std::string> places;
    for (auto [d, size] : plan_.rows) {
      places.push_back(dim(d));
    }
    Turned turned;
    turned.lanes = wholeTile();
    turned.lanes.innermost = {lane()};
    Nest copy;
    copy.splits = {{columns(), "part", "column", plan_.columns, Tail::RoundUp}};
    copy.vectorized = {lane()};
    copy.order = {lane(), "column"};
    copy.order.insert(copy.order.end(), places.begin(), places.end());
    copy.order.push_back("part");
    copy.unrolled = places;
    copy.unrolled.push_back("column");
    turned.lanes.nests = {std::move(copy)};

    turned.tile.placement = Placement::At;
    turned.tile.atStage = "op" + std::to_string(how_->op) + "_lanes";
    turned.tile.atLoop = "part";
    turned.tile.tile = {{lane(), plan_.lanes}, {columns(), plan_.columns}};
    for (auto& row : tileRows()) {
      turned.tile.tile.push_back(row);
    }
    turned.tile.innermost = {lane()};
    Nest start;
    start.vectorized = {lane()};
    start.unrolled = places;
    start.unrolled.push_back(columns());
    start.order = {lane(), columns()};
    start.order.insert(start.order.end(), places.begin(), places.end());
    Nest sum = start;
    std::vector<uint32_t> order = shape_.reduced;
    for (const WindowTrim& trim : plan_.trimmed) { // places within a window outside of the channels
      std::erase(order, trim.reduced);
      order.push_back(trim.reduced);
    }
    for (uint32_t q : order) {
      sum.order.push_back(reduced(q));
    }
    if (!plan_.trimmed.empty()) {
      sum.unrolled.push_back(reduced(plan_.trimmed.front().reduced));
    }
    turned.tile.nests = {std::move(start), std::move(sum)};
    how_->turned = std::move(turned);

    how_->stage = wholeTile();
    how_->stage.innermost = {columns(), lane()};
    Nest turn;
    turn.vectorized = {lane()};
    turn.unrolled = {columns()};
    turn.order = {lane(), columns()};
    turn.order.insert(turn.order.end(), places.begin(), places.end());
    how_->stage.nests = {std::move(turn)};
  }

  void addHalo() {
    const WindowOperand& data = shape_.operands[plan_.data];
    Halo halo;
    halo.part = data.part;
    halo.access = data.window;
    halo.stage.placement = Placement::At;
    halo.stage.atStage = out_;
    halo.stage.atLoop = "block";
    Nest nest;
    for (uint32_t s = static_cast<uint32_t>(halo.access->args.size()); s-- > 0;) {
      ExprRef subscript = halo.access->args[s];
      LanesSpan span = spanOf(shape_, analysis_, plan_, subscript);
      std::string loop = "s" + std::to_string(s);
      bool isLane = graph::dependsOnIndex(subscript, plan_.dim);
      nest.order.insert(isLane ? nest.order.begin() : nest.order.end(), loop);
      if (isLane) {
        nest.vectorized = {loop};
        halo.stage.innermost = {loop};
      }
      halo.bounds.insert(halo.bounds.begin(), span.fixed ? std::optional(std::pair{span.from, span.count}) : std::nullopt);
      if (!span.fixed && span.count > 1) {
        halo.stage.tile.emplace_back(loop, span.count);
      }
    }
    halo.stage.nests = {std::move(nest)};
    how_->halos.push_back(std::move(halo));
    if (!plan_.trimmed.empty()) {
      how_->trimmed.push_back(data.window);
    }
  }
};

} // namespace

std::optional<Schedule> scheduleWindowLanes(const Analysis& analysis, const Machine& machine, const WindowShape& shape,
                                            const WindowLanesPlan& plan) {
  return WindowLanes(analysis, machine, shape, plan).run();
}

} // namespace dnn::schedule
