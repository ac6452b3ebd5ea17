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

/// Elements of each lane that are turned together.
constexpr int64_t turnedTogether = 8;

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
    nest.unrolled = inTiles;
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
      nest.parallel = {plan_.tasksAreGroups ? "group" : "block"};
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

  /// Vectors along the lanes; what a tile has besides, innermost first, is written out.
  Nest lanesNest(const std::vector<std::string>& writtenOut) const {
    Nest nest;
    nest.vectorized = {lane()};
    nest.order = {lane()};
    nest.order.insert(nest.order.end(), writtenOut.begin(), writtenOut.end());
    nest.unrolled = writtenOut;
    return nest;
  }

  void scheduleStages() {
    std::vector<std::string> places;
    for (auto [d, size] : plan_.rows) {
      places.push_back(dim(d));
    }
    bool parts = plan_.columns < extent(shape_.column);
    Turned turned;
    turned.tile = tileStage(places, parts);
    if (parts) {
      turned.lanes = wholeTile();
      turned.lanes.innermost = {lane()};
      std::vector<std::string> copied = {"column"};
      copied.insert(copied.end(), places.begin(), places.end());
      Nest copy = lanesNest(copied);
      copy.splits = {{columns(), "part", "column", plan_.columns, Tail::RoundUp}};
      copy.order.push_back("part");
      turned.lanes.nests = {std::move(copy)};
    }
    how_->turned = std::move(turned);
    how_->stage = wholeTile();
    how_->stage.innermost = {columns(), lane()};
    // From memory place by place, from registers all at once.
    Nest turn = lanesNest({columns()});
    turn.order.insert(turn.order.end(), places.begin(), places.end());
    if (!parts) {
      turn.unrolled.insert(turn.unrolled.end(), places.begin(), places.end());
    }
    how_->stage.nests = {std::move(turn)};
  }

  StageSchedule tileStage(const std::vector<std::string>& places, bool parts) const {
    StageSchedule tile = wholeTile();
    tile.innermost = {lane()};
    if (parts) {
      tile.atStage = "op" + std::to_string(how_->op) + "_lanes";
      tile.atLoop = "part";
      std::ranges::find(tile.tile, columns(), &std::pair<std::string, int64_t>::first)->second = plan_.columns;
    }
    std::vector<std::string> writtenOut = places;
    writtenOut.insert(plan_.holdsData ? writtenOut.end() : writtenOut.begin(), columns());
    Nest start = lanesNest(writtenOut), sum = start;
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
    tile.nests = {std::move(start), std::move(sum)};
    return tile;
  }

  /// The data of all lanes, turned in registers: vectors as memory runs, unless some of their places may not exist.
  Nest copyNest(const Halo& halo, std::optional<uint32_t> along, const std::string& lanes) const {
    Nest nest;
    nest.order = {lanes};
    nest.unrolled = {lanes};
    bool exists = along && halo.bounds[*along] &&
                  (!plan_.trimmed.empty() || halo.access->args[*along]->kind == graph::ExprKind::Index);
    for (uint32_t s = static_cast<uint32_t>(halo.access->args.size()); s-- > 0;) {
      std::string loop = "s" + std::to_string(s);
      if (exists && s == *along) {
        int64_t count = halo.bounds[s]->second;
        bool cut = count > turnedTogether;
        if (cut) {
          nest.splits.push_back(
              {loop, "run", "element", turnedTogether, count % turnedTogether == 0 ? Tail::RoundUp : Tail::Shift});
          nest.order.push_back("run");
        }
        nest.vectorized = {cut ? "element" : loop};
        nest.order.insert(nest.order.begin(), nest.vectorized.front());
      } else if (loop != lanes) {
        nest.order.push_back(loop);
      }
    }
    return nest;
  }

  void addHalo() {
    const WindowOperand& data = shape_.operands[plan_.data];
    Halo halo;
    halo.part = data.part;
    halo.access = data.window;
    halo.stage.placement = Placement::At;
    halo.stage.atStage = out_;
    halo.stage.atLoop = "block";
    std::optional<uint32_t> along; // runs along memory
    std::string lanes;
    for (uint32_t s = 0; s < halo.access->args.size(); ++s) {
      LanesSpan span = spanOf(shape_, analysis_, plan_, halo.access->args[s]);
      halo.bounds.push_back(span.fixed ? std::optional(std::pair{span.from, span.count}) : std::nullopt);
      if (!span.fixed && span.count > 1) {
        halo.stage.tile.emplace_back("s" + std::to_string(s), span.count);
      }
      bool isLane = graph::dependsOnIndex(halo.access->args[s], plan_.dim);
      lanes = isLane ? "s" + std::to_string(s) : lanes;
      along = !isLane && span.count > 1 ? s : along;
    }
    halo.stage.innermost = {lanes};
    halo.stage.nests = {copyNest(halo, along, lanes)};
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
