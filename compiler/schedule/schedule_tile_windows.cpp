// Reductions over small windows of what a contraction's epilogue makes: computed from the contraction's tiles, which
// hold whole windows, in the loops that would write these tiles. What they reduce is never stored.
//
//   for each tile of places of the result           a tile of the contraction: as many whole windows
//     the contraction's sums, in registers
//     for each window: epilogue of its places, their maximum, its position, written to the outputs
//
// The contraction is scheduled as it would be if its epilogue's result were the output, by the fastest plan whose tiles
// hold whole windows; then the output's loops run over windows instead of places. Where there is no such plan, or it
// costs more than is saved, that result has a buffer.
#include "compiler/schedule/candidates.h"
#include "compiler/schedule/templates.h"
#include "compiler/schedule/tile_windows.h"

#include <algorithm>

namespace dnn::schedule {

using graph::Op;
using graph::Value;

namespace {

/// Bytes in a cycle: what is not written, and not read again.
constexpr double bytesSaved = 16;

class TileWindows {
public:
  TileWindows(const Analysis& analysis, const Machine& machine) : analysis_(analysis), machine_(machine) {}

  std::optional<Schedule> run(Sums sums) {
    if (!cut()) {
      return std::nullopt;
    }
    graph::Function main(analysis_.function.module, analysis_.function.kind, analysis_.function.name);
    main.symbols = analysis_.function.symbols;
    main.body.ops.assign(ops().begin(), ops().begin() + static_cast<std::ptrdiff_t>(first_));
    main.returns = {ops()[first_]->operands[0]};
    Kernel kernel;
    kernel.function = &main;
    kernel.unalignedInputs = analysis_.kernel.unalignedInputs;
    Analysis rest(kernel);
    Candidates any(rest, machine_, sums), whole(rest, machine_, sums, windows_);
    double saved = analysis_.elements(*reduced()) * byteSize(reduced()->type.dtype) / bytesSaved;
    double most = any.size() > 0 ? any.cycles(0) + saved : 0;
    for (size_t number = 0; number < whole.size() && whole.cycles(number) <= most; ++number) {
      std::optional<Schedule> schedule = whole.schedule(number);
      if (schedule && inTiles(*schedule)) {
        return schedule;
      }
    }
    return inBuffer(chooseSchedule(kernel, machine_, sums));
  }

private:
  const Analysis& analysis_;
  const Machine& machine_;
  const Op* anchor_ = nullptr;
  size_t first_ = 0; // position of the first reduction over windows: it and all behind it are such
  std::vector<int64_t> windows_;

  const std::vector<Op*>& ops() const { return analysis_.function.body.ops; }
  const Value* reduced() const { return ops()[first_]->operands[0]; }
  static std::string dim(size_t d) { return "i" + std::to_string(d); }

  bool cut() {
    auto isReduction = [](const Op* op) { return op->kind == graph::OpKind::Comp && op->reduction != Reduction::None; };
    auto anchor = std::ranges::find_if(ops(), isReduction);
    if (anchor == ops().end() || !isContraction(**anchor, analysis_.function.symbols)) {
      return false;
    }
    auto first = std::find_if(anchor + 1, ops().end(), isReduction);
    first_ = static_cast<size_t>(first - ops().begin());
    bool inPlace = std::ranges::any_of(analysis_.kernel.inPlace, [](const auto& input) { return input.has_value(); });
    if (first == ops().end() || inPlace) {
      return false;
    }
    const Value* v = (*first)->operands[0];
    std::optional<std::vector<int64_t>> windows = tileWindows(**first, v);
    anchor_ = *anchor;
    bool fits = windows && isElementwise(*v->def) && isComputedFrom(v, *anchor_) &&
                analysis_.function.returns.size() == ops().size() - first_ &&
                std::all_of(first, ops().end(), [&](const Op* op) {
                  return tileWindows(*op, v) == windows &&
                         op->results[0]->type.dims == (*first)->results[0]->type.dims &&
                         analysis_.escapes(op->results[0]);
                });
    windows_ = fits ? *windows : std::vector<int64_t>{};
    return fits;
  }

  /// The loops over places become loops over windows: each tile has so many fewer.
  bool inTiles(Schedule& schedule) const {
    if (schedule.outputs.size() != 1 || schedule.outputs[0].stage.nests.size() != 1) {
      return false;
    }
    OutputSchedule& output = schedule.outputs[0];
    int64_t places = 1;
    for (size_t d = 0; d < windows_.size(); ++d) {
      if (windows_[d] == 1) {
        continue;
      }
      std::vector<Split>& splits = output.stage.nests[0].splits;
      auto tiles = std::ranges::find(splits, dim(d), &Split::loop);
      if (tiles == splits.end() || tiles->factor % windows_[d] != 0) {
        return false;
      }
      tiles->factor /= windows_[d];
      places *= windows_[d];
    }
    for (OpSchedule& how : schedule.ops) {
      for (FetchWithTile& fetched : how.fetchedWithTile) {
        fetched.elements *= places;
      }
    }
    output.returns = writeOut(schedule);
    schedule.family += ", windows in its tiles";
    inLanes(schedule);
    return true;
  }

  /// Where a tile is summed with another dim than the columns in the lanes, its windows are reduced before it is
  /// turned, if the epilogue reads nothing along that dim.
  void inLanes(Schedule& schedule) const {
    auto sum = std::ranges::find(schedule.ops, analysis_.positionOf(*anchor_), &OpSchedule::op);
    if (!sum->turned || readsAlong(sum->turned->tile.innermost.front())) {
      return;
    }
    bool parts = sum->turned->lanes.placement != Placement::Inline;
    StageSchedule turn = sum->stage;
    for (auto& [loop, points] : turn.tile) {
      for (size_t d = 0; d < windows_.size(); ++d) {
        points /= loop == dim(d) ? windows_[d] : 1;
      }
    }
    sum->stage = {}; // its tile is read as it is
    Turned turned;
    turned.lanes = turn;
    turned.lanes.innermost = {sum->turned->tile.innermost.front()};
    Nest& nest = turned.lanes.nests.front();
    if (!parts) {
      nest.unrolled.assign(nest.order.begin() + 1, nest.order.end());
    }
    for (OpSchedule& how : schedule.ops) {
      if (how.op >= first_) {
        how.turned = turned;
        how.stage = turn;
      }
    }
  }

  /// Something between the sum and the reductions depends on the loop in another way than by the sum.
  bool readsAlong(const std::string& loop) const {
    for (size_t position = analysis_.positionOf(*anchor_) + 1; position < first_; ++position) {
      const Op& op = *ops()[position];
      bool along = op.kind != graph::OpKind::Comp;
      graph::forEachNode(along ? anchor_->body : op.body, [&](graph::ExprRef e) {
        along |= e->kind == graph::ExprKind::Draw;
        bool own = e->kind == graph::ExprKind::Access && !along && isComputedFrom(op.operands[e->operand], *anchor_);
        for (uint32_t d = 0; e->kind == graph::ExprKind::Access && !own && d < op.dims.size(); ++d) {
          along |= dim(d) == loop && graph::dependsOnIndex(e, d);
        }
      });
      if (along) {
        return true;
      }
    }
    return false;
  }

  /// The reductions as expressions of the output; its returns.
  std::vector<uint32_t> writeOut(Schedule& schedule) const {
    std::vector<uint32_t> returns;
    for (OpSchedule& how : schedule.ops) {
      how.fetchesWritten = false; // of the places, which are not written
    }
    for (size_t position = first_; position < ops().size(); ++position) {
      OpSchedule& how = schedule.ops.emplace_back();
      how.op = static_cast<uint32_t>(position);
      how.writtenOut = true;
      returns.push_back(analysis_.returnOf(ops()[position]->results[0]));
    }
    return returns;
  }

  /// The loops that would write the output fill a buffer; the reductions follow.
  Schedule inBuffer(Schedule schedule) const {
    uint32_t position = analysis_.positionOf(*reduced()->def);
    auto buffer = std::ranges::find(schedule.ops, position, &OpSchedule::op);
    if (!schedule.outputs.empty()) { // else the op's own stage has written the return
      buffer->stage = std::move(schedule.outputs[0].stage);
      rename(schedule, "out0", "op" + std::to_string(position));
    }
    OutputSchedule output;
    output.returns = writeOut(schedule);
    output.stage.placement = Placement::Root;
    const Op& op = *ops()[first_];
    double cost = 0;
    for (size_t p = first_; p < ops().size(); ++p) {
      cost += 2 * analysis_.points(*ops()[p]) / analysis_.elements(*op.results[0]);
    }
    output.stage.nests = {elementwiseNest(analysis_, machine_, op.results[0]->type.dims,
                                          byteSize(reduced()->type.dtype), cost, Loads::Forward)};
    schedule.outputs = {std::move(output)};
    schedule.family += ", then windows";
    return schedule;
  }

  static void rename(Schedule& schedule, const std::string& from, const std::string& to) {
    auto stage = [&](StageSchedule& s) { s.atStage = s.atStage == from ? to : s.atStage; };
    for (OpSchedule& how : schedule.ops) {
      stage(how.stage);
      for (Halo& halo : how.halos) {
        stage(halo.stage);
      }
      for (Pack& pack : how.packs) {
        stage(pack.stage);
        if (pack.block) {
          stage(*pack.block);
        }
      }
      if (how.turned) {
        stage(how.turned->tile);
        stage(how.turned->lanes);
      }
      if (how.lanes) {
        stage(how.lanes->stage);
      }
      if (how.accumulator) {
        stage(how.accumulator->stage);
        stage(how.accumulator->partial);
      }
      if (how.winograd) {
        for (StageSchedule* s :
             {&how.winograd->weightRows, &how.winograd->weightPoints, &how.winograd->data.rows,
              &how.winograd->data.points, &how.winograd->tile, &how.winograd->products, &how.winograd->resultRows}) {
          stage(*s);
        }
      }
    }
  }
};

} // namespace

std::optional<Schedule> scheduleTileWindows(const Analysis& analysis, const Machine& machine, Sums sums) {
  return TileWindows(analysis, machine).run(sums);
}

} // namespace dnn::schedule
