// Reductions that are limited by memory or latency, not by arithmetic: softmax rows, sums over a batch, norms.
#include "compiler/schedule/templates.h"

#include <algorithm>

namespace dnn::schedule {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;

namespace {

/// About the cost of one point of the domain in scalar terms, if index runs along the vector.
double costAlong(const Analysis& analysis, const Op& op, uint32_t index, int64_t lanes) {
  int64_t extent = analysis.extentOf(op, index);
  double vectors = static_cast<double>((extent + lanes - 1) / lanes);
  double perVector = costOf(op.body);
  graph::forEachNode(op.body, [&](ExprRef e) {
    if (e->kind == ExprKind::Access) {
      Stride stride = analysis.strideOf(op, e, index);
      if (stride == Stride::Strided || stride == Stride::Gather) {
        perVector += 1.5 * static_cast<double>(lanes);
      }
    }
  });
  return vectors * perVector / static_cast<double>(extent);
}

/// How wide a reduction runs: nothing, along the result's innermost dimension, along a reduced index.
enum class Along : uint8_t { Nothing, Column, Reduced };

std::string dimName(uint32_t d) { return "i" + std::to_string(d); }

class Rows {
public:
  Rows(const Analysis& analysis, const Machine& machine, const Op& op, OpSchedule& how)
      : analysis_(analysis), machine_(machine), op_(op), how_(how),
        lanes_(machine.lanes(std::max(byteSize(op.body->dtype), 4))), points_(analysis.points(op)) {
    for (uint32_t d = 0; d < op.dims.size(); ++d) {
      dims_.push_back(op.dims[d].extent);
      outputs_ *= static_cast<double>(analysis.extentOf(op, d));
      if (analysis.extentOf(op, d) > 1) {
        column_ = d;
        outermost_ = outermost_.value_or(d);
      }
    }
    for (uint32_t q = static_cast<uint32_t>(op.reduced.size()); q-- > 0;) {
      reducedInnermostFirst_.push_back("r" + std::to_string(q));
    }
  }

  /// Of one row: lanes along the one reduced index.
  void runInRow() {
    along_ = Along::Reduced;
    index_ = static_cast<uint32_t>(op_.dims.size());
    how_.stage.placement = Placement::Root;
    inLanes();
  }

  void run() {
    choose();
    how_.stage.placement = Placement::Root;
    if (along_ == Along::Column) {
      how_.trimmed = placesLeftOut(analysis_, op_, *column_);
    }
    if (along_ == Along::Reduced) {
      inLanes();
    } else if (along_ == Along::Column && tileFits()) {
      inTiles();
    } else {
      plain();
    }
  }

private:
  const Analysis& analysis_;
  const Machine& machine_;
  const Op& op_;
  OpSchedule& how_;
  int64_t lanes_;
  double points_;
  double outputs_ = 1;
  std::vector<Dim> dims_;
  std::optional<uint32_t> column_;    // the innermost dimension with more than one element
  std::optional<uint32_t> outermost_; // the outermost one
  std::vector<std::string> reducedInnermostFirst_;
  Along along_ = Along::Nothing;
  uint32_t index_ = 0; // in the domain, of what runs along the vector
  double cost_ = 0;    // of one point

  const Dim& columns() const { return op_.dims[*column_].extent; }

  void choose() {
    double perOutput = std::max(points_ / std::max(outputs_, 1.0), 1.0);
    cost_ = 2 * costOf(op_.body) + 4; // the chain of a scalar reduction waits for itself
    bool ragged = column_ && (!columns().isStatic() || columns().constant() % lanes_ != 0);
    if (column_ && !(ragged && analysis_.loadsOf(op_) == Loads::Backward)) {
      consider(Along::Column, *column_,
               costAlong(analysis_, op_, *column_, lanes_) + 2.0 / static_cast<double>(lanes_));
    }
    for (uint32_t q = 0; q < op_.reduced.size() && !isArg(op_.reduction); ++q) {
      uint32_t index = static_cast<uint32_t>(op_.dims.size()) + q;
      int64_t extent = analysis_.extentOf(op_, index);
      if (extent >= 2) {
        double treeCost = 2.0 * static_cast<double>(std::min(extent, lanes_)) / perOutput;
        consider(Along::Reduced, index,
                 costAlong(analysis_, op_, index, lanes_) + 0.5 / static_cast<double>(lanes_) + treeCost);
      }
    }
  }

  void consider(Along along, uint32_t index, double cost) {
    if (cost < cost_) {
      along_ = along;
      index_ = index;
      cost_ = cost;
    }
  }

  /// Vector instructions, about, of all of it.
  bool worthTwoCores() const { return points_ * cost_ >= parallelRows && outermost_.has_value(); }
  int64_t rowsOfTask() const { return taskSize(machine_, analysis_.extentOf(op_, *outermost_)); }

  void inLanes() {
    Lanes partial;
    partial.reduced = index_ - static_cast<uint32_t>(op_.dims.size());
    const Dim& dim = op_.reduced[partial.reduced].extent;
    int64_t extent = analysis_.maxOf(dim);
    partial.width = lanes_;
    if (dim.isStatic() && extent < lanes_) {
      partial.width = extent;
    } else if (extent >= 16 * lanes_) {
      partial.width = 4 * lanes_; // several chains, so that none waits for its own last sum
    }
    Nest start, main, rest;
    start.splits = {{"u", "u_vector", "u_lane", std::min(partial.width, lanes_), Tail::RoundUp}};
    start.vectorized = {"u_lane"};
    start.unrolled = {"u_vector"};
    main = start;
    main.order = {"u_lane", "u_vector"};
    main.order.insert(main.order.end(), reducedInnermostFirst_.begin(), reducedInnermostFirst_.end());
    std::string tailLoop = "r" + std::to_string(partial.reduced);
    // Halide moves loops of sums and products only: it does not know that a maximum which keeps NaN may be taken in any
    // order.
    bool movable = op_.reduction == Reduction::Add || op_.reduction == Reduction::Mul;
    rest.order = reducedInnermostFirst_;
    if (movable) {
      std::ranges::stable_partition(rest.order, [&](const std::string& r) { return r == tailLoop; });
    }
    if (rest.order.front() == tailLoop && dim.isStatic() && dim.constant() % partial.width > 1) {
      rest.vectorized = {tailLoop};
    }
    partial.stage.nests = {start, main, rest};
    for (int64_t parts = partial.width; parts > 4 && parts % 4 == 0; parts /= 4) {
      Nest together;
      together.vectorized = {"part"};
      partial.stage.nests.push_back(together);
    }
    Nest outer;
    if (op_.dims.empty()) {
      partial.stage.placement = Placement::Root;
    } else {
      partial.stage.placement = Placement::At;
      partial.stage.atStage = "op" + std::to_string(how_.op);
      uint32_t last = static_cast<uint32_t>(op_.dims.size()) - 1;
      partial.stage.atLoop = dimName(last);
      if (worthTwoCores()) {
        std::string row = dimName(*outermost_) + "_row";
        outer.splits.push_back({dimName(*outermost_), "task", row, rowsOfTask(), Tail::Guard});
        outer.parallel = {"task"};
        if (*outermost_ == last) {
          partial.stage.atLoop = row;
        }
      }
    }
    how_.stage.nests = {outer};
    how_.lanes = std::move(partial);
  }

  bool tileFits() const {
    bool single = *outermost_ != *column_ || piecesOfRows() > 1; // one short vector
    return columns().isStatic() && (columns().constant() >= lanes_ || single);
  }

  /// Into how many pieces the first reduced index is cut: what is not enough rows of the result for all cores.
  int64_t piecesOfRows() const {
    bool rows = *outermost_ != *column_ && analysis_.extentOf(op_, *outermost_) >= reductionPieces;
    int64_t extent = analysis_.extentOf(op_, static_cast<uint32_t>(op_.dims.size()));
    bool pays = points_ * cost_ >= parallelRows && extent >= 2 * reductionPieces;
    return pays && !rows && !isArg(op_.reduction) ? reductionPieces : 1;
  }

  /// Of the result's loops, the one around a short row.
  std::string loopBeforeColumn() const {
    uint32_t before = *column_ - 1;
    return before == *outermost_ && worthTwoCores() ? "row" : dimName(before);
  }

  /// Several accumulators at once, so that none waits for its own last sum and whole cache lines are read.
  void inTiles() {
    int64_t vectors = std::max<int64_t>(columns().constant() / lanes_, 1);
    double body = costOf(op_.body);
    int64_t most = body <= 4 ? machine_.vectorRegisters / 2 : body <= 12 ? 4 : 2;
    int64_t tile = std::min(vectors, most);
    while (tile * 2 > most && vectors % tile != 0) {
      --tile; // rather a few registers less than a tile that overlaps its neighbour
    }
    tile = vectors % tile == 0 ? tile : std::min(vectors, most);
    Accumulator plan;
    plan.pieces = piecesOfRows();
    int64_t extent = analysis_.extentOf(op_, static_cast<uint32_t>(op_.dims.size()));
    plan.length = plan.pieces > 1 ? (extent + plan.pieces - 1) / plan.pieces : 0;
    std::string column = dimName(*column_);
    Nest home;
    bool single = columns().constant() < lanes_;
    bool whole = columns().constant() % (tile * lanes_) == 0;
    if (single) {
      home.vectorized = {column};
    } else {
      home.splits.push_back({column, "column", "columns", tile * lanes_, whole ? Tail::RoundUp : Tail::Shift});
      home.splits.push_back({"columns", "vector", "lane", lanes_, Tail::RoundUp});
      home.order = {"lane", "vector", "column"};
      home.vectorized = {"lane"};
      home.unrolled = {"vector"};
    }
    if (plan.pieces > 1) {
      home.parallel = {"s"};
    } else if (worthTwoCores() && *outermost_ != *column_) {
      home.splits.push_back({dimName(*outermost_), "task", "row", rowsOfTask(), Tail::Guard});
      home.parallel = {"task"};
    }
    Nest start;
    if (single) {
      start.vectorized = {column};
    } else {
      start.splits = {{column, "vector", "lane", lanes_, Tail::RoundUp}};
      start.vectorized = {"lane"};
      start.unrolled = {"vector"};
    }
    Nest sum = start;
    sum.order = single ? std::vector{column} : std::vector<std::string>{"lane", "vector"};
    sum.order.insert(sum.order.end(), reducedInnermostFirst_.begin(), reducedInnermostFirst_.end());
    plan.stage.placement = Placement::At;
    plan.stage.atLoop = !single ? "column" : plan.pieces > 1 ? "s" : loopBeforeColumn();
    plan.stage.tile = {{column, single ? columns().constant() : tile * lanes_}};
    plan.stage.nests = {start, sum};
    std::string name = "op" + std::to_string(how_.op);
    if (plan.pieces > 1) {
      plan.stage.atStage = name + "_pieces";
      plan.partial.placement = Placement::Root;
      plan.partial.nests = {std::move(home)};
      how_.stage.nests = {elementwiseNest(analysis_, machine_, dims_, byteSize(op_.body->dtype),
                                          static_cast<double>(plan.pieces), Loads::Forward)};
    } else {
      plan.stage.atStage = name;
      how_.stage.nests = {std::move(home)};
    }
    how_.accumulator = std::move(plan);
  }

  void plain() {
    Nest update;
    update.order = reducedInnermostFirst_;
    int bytes = std::max(byteSize(op_.body->dtype), 4);
    how_.stage.nests.push_back(elementwiseNest(analysis_, machine_, dims_, bytes, 1, Loads::Forward));
    bool parallel = worthTwoCores();
    if (along_ == Along::Column) {
      std::string loop = dimName(*column_);
      bool alone = parallel && *column_ == *outermost_;
      if (parallel) {
        int64_t size = alone ? (rowsOfTask() + lanes_ - 1) / lanes_ * lanes_ : rowsOfTask();
        update.splits.push_back({dimName(*outermost_), "task", "row", size, Tail::Guard});
        update.parallel = {"task"};
        loop = alone ? "row" : loop;
      }
      if (!alone && columns().isStatic() && columns().constant() < lanes_) {
        update.vectorized = {loop}; // one short vector
        update.order.insert(update.order.begin(), loop);
      } else {
        bool whole = columns().isStatic() && columns().constant() % lanes_ == 0;
        update.splits.push_back({loop, "vector", "lane", lanes_, whole && !alone ? Tail::RoundUp : Tail::Guard});
        update.vectorized = {"lane"};
        update.order.insert(update.order.begin(), "lane");
        update.order.push_back("vector");
      }
    } else if (parallel) {
      update.splits.push_back({dimName(*outermost_), "task", "row", rowsOfTask(), Tail::Guard});
      update.parallel = {"task"};
    }
    how_.stage.nests.push_back(std::move(update));
  }
};

} // namespace

void scheduleReduction(const Analysis& analysis, const Machine& machine, const Op& op, OpSchedule& how, bool inRow) {
  Rows rows(analysis, machine, op, how);
  if (inRow) {
    rows.runInRow();
  } else {
    rows.run();
  }
}

} // namespace dnn::schedule
