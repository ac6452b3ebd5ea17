// Gradients of weights over windows of 3 × 3 as sums of products of transformed blocks (winograd.h).
//
//   for each of 8 pieces of the items
//     for each block that fits the second cache: rows of blocks of places, of one item or of several
//       halo and factor; their transforms                    36 planes of blocks × channels or columns
//       for each plane                                       a product of matrices in register tiles, added to the sums
//   the pieces' sums as a balanced tree, transformed back, epilogue
#include "compiler/schedule/templates.h"
#include "compiler/schedule/winograd.h"

#include <algorithm>

namespace dnn::schedule {

using graph::Op;

namespace {

class WinogradSumsScheduler {
public:
  WinogradSumsScheduler(const Analysis& analysis, const Machine& machine, const WindowShape& window,
                        const WinogradSumsPlan& plan)
      : analysis_(analysis), machine_(machine), window_(window), plan_(plan), op_(*window.op) {}

  std::optional<Schedule> run() {
    schedule_ = placeStages(analysis_, &op_);
    inlineHalos(window_, analysis_, schedule_);
    schedule_.family = "winograd " + print(plan_);
    how_ = &*std::ranges::find(schedule_.ops, analysis_.positionOf(op_), &OpSchedule::op);
    how_->stage.placement = Placement::Inline; // into the outputs
    how_->winogradSums.emplace();
    WinogradSums& how = *how_->winogradSums;
    describe(how);
    addHalo();
    transform(how.data.rows, how.data.points, "_data", channel(), channels(), sumsStep * across() + 2);
    transform(how.factorRows, how.factorPoints, "_factor", column(), columns(), sumsStep * across());
    multiply(how);
    double planes = 36 * 4 * static_cast<double>(how.channels * how.columns);
    how_->fetchesOverwritten = planes > static_cast<double>(machine_.l2Bytes);
    transformBack(how);
    scheduleLoops(analysis_, machine_, schedule_, &op_);
    return std::move(schedule_);
  }

private:
  const Analysis& analysis_;
  const Machine& machine_;
  const WindowShape& window_;
  const WinogradSumsPlan& plan_;
  const Op& op_;
  Schedule schedule_;
  OpSchedule* how_ = nullptr;

  std::string name(const std::string& stage) const { return "op" + std::to_string(how_->op) + stage; }
  static std::string column() { return "i3"; }
  static std::string channel() { return "i2"; }
  int64_t wide() const { return plan_.vectors * window_.lanes; }
  int64_t columns() const { return roundUp(analysis_.extentOf(op_, 3), wide()); }
  int64_t channels() const { return roundUp(analysis_.extentOf(op_, 2), plan_.channels); }
  int64_t across() const { return roundUp(analysis_.extentOf(op_, 6), sumsStep) / sumsStep; }

  void describe(WinogradSums& how) const {
    how.data.first = plan_.first;
    how.data.subscripts = plan_.subscripts;
    how.data.channelSubscript = plan_.channelSubscript;
    how.factor = window_.operands[1 - plan_.data].part;
    how.rows = plan_.rows;
    how.items = plan_.items;
    how.channels = channels();
    how.columns = columns();
    int64_t groups = (analysis_.extentOf(op_, 4) + plan_.items - 1) / plan_.items;
    double bytes = 36 * 4 * static_cast<double>(how.channels * how.columns);
    int64_t fitting = std::max<int64_t>(2, static_cast<int64_t>(mostSumsBytes / bytes));
    how.pieces = std::min({groups, reductionPieces, fitting});
    how.pieceLength = (groups + how.pieces - 1) / how.pieces;
    how.pieces = (groups + how.pieceLength - 1) / how.pieceLength;
  }

  void atBlock(StageSchedule& stage) const {
    stage.placement = Placement::At;
    stage.atStage = name("_pieces");
    stage.atLoop = "qy";
  }

  void addHalo() {
    const WindowOperand& data = window_.operands[plan_.data];
    Halo halo = winogradHalo(data, plan_.subscripts[1], plan_.channelSubscript, roundUp(channels(), window_.lanes),
                             window_.lanes);
    atBlock(halo.stage);
    for (size_t s = 0; s < data.window->args.size(); ++s) {
      std::string loop = "s" + std::to_string(s);
      if (s == plan_.subscripts[0] || s == plan_.subscripts[1]) {
        halo.stage.tile.emplace_back(loop, sumsStep * (s == plan_.subscripts[0] ? plan_.rows : across()) + 2);
      } else if (data.window->args[s]->kind == graph::ExprKind::Index && s != plan_.channelSubscript) {
        halo.stage.tile.emplace_back(loop, plan_.items);
      }
    }
    how_->halos.push_back(std::move(halo));
  }

  /// Both passes over one operand, whose vectors run along `along`, and which has so many places in a row.
  void transform(StageSchedule& rows, StageSchedule& points, const std::string& prefix, const std::string& along,
                 int64_t extent, int64_t places) const {
    rows.placement = Placement::At;
    rows.atStage = name(prefix + "_points");
    rows.atLoop = "ty";
    rows.tile = {{"x", places}};
    rows.nests = {winogradPass(along, "ky", {"lane", "ky", "vector", "x"}, window_.lanes)};

    atBlock(points);
    points.tile = {{along, roundUp(extent, window_.lanes)}, {"tx", across()}, {"ty", plan_.rows}, {"n", plan_.items}};
    points.nests = {winogradPass(along, "kx", {"lane", "kx", "vector", "tx", "ky", "ty"}, window_.lanes)};
  }

  void multiply(WinogradSums& how) const {
    how.tile.placement = Placement::At;
    how.tile.atStage = name("_pieces");
    how.tile.atLoop = "channel";
    how.tile.tile = {{column(), wide()}, {channel(), plan_.channels}};
    Nest start;
    start.splits = {{column(), "vector", "lane", window_.lanes, Tail::RoundUp}};
    start.vectorized = {"lane"};
    start.unrolled = {"vector", channel()};
    start.order = {"lane", "vector", channel()};
    Nest sum = start;
    sum.order.insert(sum.order.end(), {"rx", "ry", "rn"});
    if (across() <= 8) {
      sum.unrolled.push_back("rx");
    } else {
      unrollTerms(sum, "rx", across());
    }
    how.tile.nests = {std::move(start), std::move(sum)};

    how.partial.placement = Placement::Root;
    Nest zero;
    zero.splits = {{column(), "start", "start_lane", window_.lanes, Tail::RoundUp}};
    zero.vectorized = {"start_lane"};
    Nest add;
    add.splits = {{column(), "panel", "columns", wide(), Tail::Guard},
                  {"columns", "vector", "lane", window_.lanes, Tail::Guard},
                  {channel(), "channel", "in_channel", plan_.channels, Tail::Guard}};
    add.vectorized = {"lane"};
    add.unrolled = {"vector", "in_channel"};
    add.order = {"lane", "vector", "in_channel", "channel", "panel", "kx", "ky", "qy", "qn", "s"};
    if (plan_.cycles * 2 >= parallelWork && how.pieces > 1) {
      add.parallel = {"s"};
    }
    how.partial.nests = {std::move(zero), std::move(add)};
  }

  void transformBack(WinogradSums& how) const {
    double work = 36.0 * static_cast<double>(how.channels * how.columns) / static_cast<double>(window_.lanes);
    auto nest = [&](const char* unrolled, const char* outer, double cost) {
      Nest loops;
      loops.splits = {{column(), "vector", "lane", window_.lanes, Tail::RoundUp}};
      loops.vectorized = {"lane"};
      if (unrolled != nullptr) {
        loops.unrolled = {unrolled};
      }
      if (cost >= parallelWork) {
        loops.parallel = {outer};
      }
      return loops;
    };
    how.sums.placement = Placement::Root;
    how.sums.nests = {nest(nullptr, "ky", work * static_cast<double>(how.pieces))};
    how.resultRows.placement = Placement::Root;
    how.resultRows.nests = {nest(nullptr, "kx", work)};
  }
};

} // namespace

std::optional<Schedule> scheduleWinogradSums(const Analysis& analysis, const Machine& machine,
                                             const WindowShape& window, const WinogradSumsPlan& plan) {
  return WinogradSumsScheduler(analysis, machine, window, plan).run();
}

} // namespace dnn::schedule
