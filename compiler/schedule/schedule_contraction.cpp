// Products of matrices, their transposes, convolutions: register tiles.
//
//   for each tile of R rows × t vectors of columns         t·R accumulators stay in registers
//     for each point of the reduction
//       t loads of the operand that runs along the columns, R broadcasts of the other, t·R multiply-adds
//     epilogue on the tile, written to the outputs
//
// "Columns" are the result's innermost dimension, "rows" the largest other one that the column operand does not depend
// on. A packed column operand lies in panels as wide as a tile, one after the other as the loop reads it. Where both
// operands are contiguous along the reduction, the accumulators may be vectors along that instead, summed at the end.
#include "compiler/schedule/contraction.h"
#include "compiler/schedule/templates.h"

#include <algorithm>
#include <numeric>

namespace dnn::schedule {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::Value;

namespace {

class Contraction {
public:
  Contraction(const Analysis& analysis, const Machine& machine, const ContractionShape& shape,
              const ContractionPlan& plan)
      : analysis_(analysis), machine_(machine), shape_(shape), plan_(plan), op_(shape.op), lanes_(shape.lanes) {}

  std::optional<Schedule> run() {
    schedule_ = placeStages(analysis_, op_);
    auto home = std::ranges::find_if(schedule_.outputs, [&](const OutputSchedule& output) {
      return std::ranges::any_of(
          output.returns, [&](uint32_t index) { return isComputedFrom(analysis_.function.returns[index], *op_); });
    });
    if (home == schedule_.outputs.end()) {
      return std::nullopt;
    }
    outputNumber_ = static_cast<size_t>(home - schedule_.outputs.begin());
    schedule_.family = "contraction " + print(plan_);
    how_ = &*std::ranges::find(schedule_.ops, analysis_.positionOf(*op_), &OpSchedule::op);
    scheduleOutput();
    if (!rowsFillTiles()) {
      how_->clamped.push_back(shape_.row);
    }
    if (!columnsFillTiles() && !shiftsColumns()) {
      how_->clamped.push_back(shape_.column);
    }
    if (inLanes()) {
      packForLanes(op_->body);
      scheduleLanes();
    } else {
      packOperands(op_->body);
      scheduleColumns();
      if (!shape_.inPlace) {
        fetchNextRows(op_->body);
        fetchPointwise(analysis_, machine_, *op_, *how_);
        how_->fetchesWritten = !plan_.turned && goesFar(analysis_, machine_, *op_);
      }
    }
    scheduleLoops(analysis_, machine_, schedule_, op_);
    return std::move(schedule_);
  }

private:
  const Analysis& analysis_;
  const Machine& machine_;
  const ContractionShape& shape_;
  const ContractionPlan& plan_;
  const Op* op_;
  int64_t lanes_;
  Schedule schedule_;
  size_t outputNumber_ = 0;
  OpSchedule* how_ = nullptr;
  std::string tileLoop_; // of the output stage, around one tile

  static std::string dim(uint32_t d) { return "i" + std::to_string(d); }
  uint32_t rank() const { return static_cast<uint32_t>(op_->dims.size()); }
  std::string loop(uint32_t index) const { return index < rank() ? dim(index) : "r" + std::to_string(index - rank()); }
  bool inLanes() const { return plan_.accumulate == Accumulate::Lanes; }
  std::string home() const { return "out" + std::to_string(outputNumber_); }
  int64_t tileColumns() const { return inLanes() ? plan_.columns : plan_.columns * lanes_; }

  bool columnsFillTiles() const {
    const Dim& columns = analysis_.dimOf(*op_, shape_.column);
    return columns.isStatic() && columns.constant() % tileColumns() == 0;
  }

  /// The last tile of columns starts where it is full.
  bool shiftsColumns() const {
    return !inLanes() && plan_.packing == Packing::None && !columnsFillTiles() &&
           canShiftColumns(shape_, static_cast<double>(tileColumns()));
  }

  bool rowsFillTiles() const {
    const Dim& rows = analysis_.dimOf(*op_, shape_.row);
    return rows.isStatic() && rows.constant() % plan_.rows == 0;
  }

  static bool hasAccess(ExprRef e) {
    bool found = false;
    graph::forEachNode(e, [&](ExprRef node) { found |= node->kind == ExprKind::Access; });
    return found;
  }

  void packOperands(ExprRef e) {
    std::vector<bool> used = indicesOf(e, rank() + op_->reduced.size());
    bool alongColumns = used[shape_.column], alongRows = used[shape_.row];
    bool computed = e->kind == ExprKind::Apply && costOf(e) > 3 && hasAccess(e);
    if (alongColumns && !alongRows && hasAccess(e)) {
      bool direct = plan_.packing == Packing::None && e->kind == ExprKind::Access &&
                    (columnsFillTiles() || shiftsColumns()) &&
                    analysis_.strideOf(*op_, e, shape_.column) == Stride::Unit;
      bool cheapSum = e->kind == ExprKind::Apply && !computed;
      if (!direct && !cheapSum) {
        packColumns(e, used);
        return;
      }
    } else if (alongRows && !alongColumns && computed) {
      packComputed(e, used);
      return;
    } else if (alongRows && !alongColumns && plan_.packRows && e->kind == ExprKind::Access) {
      packRows(e, used);
      return;
    }
    if (e->kind == ExprKind::Apply || e->kind == ExprKind::Cast) {
      for (ExprRef arg : e->args) {
        packOperands(arg);
      }
    }
  }

  /// The column operand so that it runs along the reduction.
  void packForLanes(ExprRef e) {
    if (plan_.packing == Packing::None) {
      return;
    }
    std::vector<bool> used = indicesOf(e, rank() + op_->reduced.size());
    if (e->kind == ExprKind::Access && used[shape_.column]) {
      packComputed(e, used);
    }
    for (ExprRef arg : e->args) {
      packForLanes(arg);
    }
  }

  bool isPacked(ExprRef part) const {
    return std::ranges::any_of(how_->packs, [&](const Pack& p) { return p.part == part; });
  }

  /// The other indices that the part depends on, innermost first.
  void addOthers(Pack& pack, const std::vector<bool>& used) const {
    for (uint32_t i = static_cast<uint32_t>(used.size()); i-- > 0;) {
      if (used[i] && i != pack.along) {
        pack.others.push_back(i);
      }
    }
  }

  /// The column operand in panels as wide as a tile.
  void packColumns(ExprRef part, const std::vector<bool>& used) {
    if (isPacked(part)) {
      return;
    }
    Pack pack;
    pack.part = part;
    pack.along = shape_.column;
    pack.multiple = tileColumns();
    addOthers(pack, used);
    const Dim& columns = analysis_.dimOf(*op_, shape_.column);
    pack.padded = !columnsFillTiles();
    bool whole = plan_.packing == Packing::Whole || plan_.tasks == Tasks::Rows || plan_.columnsInner;
    if (whole) {
      pack.stage.placement = Placement::Root;
    } else {
      pack.stage.placement = Placement::At;
      pack.stage.atStage = home();
      pack.stage.atLoop = "column";
    }
    pack.stage.tile = {{loop(pack.along), pack.multiple}};
    Nest nest;
    // Where memory runs along the reduction, blocks are loaded along that and turned over in registers.
    if (!pack.others.empty() && part->kind == ExprKind::Access && byteSize(part->dtype) == 4 && lanes_ >= 8 &&
        analysis_.strideOf(*op_, part, shape_.column) != Stride::Unit) {
      uint32_t inner = pack.others.front();
      const Dim& extent = analysis_.dimOf(*op_, inner);
      if (inner >= rank() && analysis_.strideOf(*op_, part, inner) == Stride::Unit && extent.isStatic() &&
          extent.constant() >= 8 && analysis_.loadsOf(*op_) == Loads::Forward && columns.isStatic()) {
        transpose(pack, loop(inner), extent.constant(), nest);
        pack.block->atStage = "op" + std::to_string(how_->op) + "_pack" + std::to_string(how_->packs.size());
      }
    }
    if (!whole && !pack.block && !pack.padded && part->kind == ExprKind::Access &&
        copiesWithUse(shape_, tileColumns())) {
      pack.ahead = pointsAhead(shape_, machine_);
    }
    if (!pack.block) {
      nest.splits.push_back({loop(pack.along), "vector", "lane", lanes_, Tail::Guard});
      nest.vectorized = {"lane"};
      nest.order = {"lane", "vector"};
      nest.unrolled = {"vector"};
      if (pack.padded) {
        pack.stage.nests.push_back({});
      } else {
        nest.splits.back().tail = Tail::RoundUp;
      }
    }
    if (whole && plan_.tasks != Tasks::None && columns.max(analysis_.function.symbols) > pack.multiple) {
      nest.parallel = {"panel"};
    }
    pack.stage.nests.push_back(std::move(nest));
    if (pack.padded) {
      bool forward = part->kind != ExprKind::Access || analysis_.strideOf(*op_, part, shape_.column) == Stride::Unit;
      Nest rest;
      rest.splits.push_back({loop(pack.along), "vector", "lane", lanes_,
                             forward && byteSize(part->dtype) >= 4 ? Tail::Predicate : Tail::Guard});
      rest.vectorized = {"lane"};
      pack.stage.nests.push_back(std::move(rest));
    }
    how_->packs.push_back(std::move(pack));
  }

  static void transpose(Pack& pack, const std::string& inner, int64_t extent, Nest& nest) {
    constexpr int64_t block = 8;
    pack.padded = false; // the last column again, instead of nothing
    nest.splits.push_back({inner, "block", "step", block, extent % block == 0 ? Tail::RoundUp : Tail::Shift});
    nest.splits.push_back({pack.stage.tile.front().first, "part", "lane", block, Tail::RoundUp});
    nest.order = {"lane", "step", "part", "block"};
    nest.vectorized = {"lane"};
    nest.unrolled = {"step"};
    StageSchedule load;
    load.placement = Placement::At;
    load.atLoop = "part"; // of the pack's own stage
    load.tile = {{pack.stage.tile.front().first, block}, {inner, block}};
    Nest rows;
    rows.order = {inner, pack.stage.tile.front().first};
    rows.vectorized = {inner};
    rows.unrolled = {pack.stage.tile.front().first};
    load.nests = {std::move(rows)};
    pack.block = std::move(load);
  }

  /// The row operand in panels as high as a tile, or as it is but with another distance between rows.
  void packRows(ExprRef part, const std::vector<bool>& used) {
    if (isPacked(part)) {
      return;
    }
    if (!shape_.rowsContiguous) {
      packComputed(part, used);
      Pack& copy = how_->packs.back();
      copy.pitch = analysis_.extentOf(*op_, copy.along) + 64 / shape_.bytes; // one line more
      return;
    }
    Pack pack;
    pack.part = part;
    pack.along = shape_.row;
    pack.multiple = plan_.rows;
    pack.padded = !rowsFillTiles();
    addOthers(pack, used);
    pack.stage.placement = Placement::Root;
    pack.stage.tile = {{loop(pack.along), pack.multiple}};
    Nest nest;
    if (plan_.rows > 1) {
      nest.vectorized = {loop(pack.along)};
    }
    if (plan_.tasks != Tasks::None && shape_.rows > 2 * static_cast<double>(plan_.rows)) {
      nest.parallel = {"panel"};
    }
    if (pack.padded) {
      pack.stage.nests = {Nest{}, std::move(nest), Nest{}};
    } else {
      pack.stage.nests = {std::move(nest)};
    }
    how_->packs.push_back(std::move(pack));
  }

  /// A row operand that is computed rather than loaded: once for each element.
  void packComputed(ExprRef part, const std::vector<bool>& used) {
    if (isPacked(part)) {
      return;
    }
    Pack pack;
    pack.part = part;
    for (uint32_t i = 0; i < used.size(); ++i) {
      pack.along = used[i] ? i : pack.along;
    }
    addOthers(pack, used);
    const Dim& extent = analysis_.dimOf(*op_, pack.along);
    bool whole = extent.isStatic() && extent.constant() % lanes_ == 0;
    bool forward = analysis_.loadsOf(*op_) == Loads::Forward && byteSize(part->dtype) >= 4;
    Nest nest;
    nest.splits.push_back({loop(pack.along), "vector", "lane", lanes_,
                           whole     ? Tail::RoundUp
                           : forward ? Tail::Predicate
                                     : Tail::Guard});
    nest.vectorized = {"lane"};
    double elements = static_cast<double>(analysis_.maxOf(extent));
    for (uint32_t other : pack.others) {
      elements *= static_cast<double>(analysis_.extentOf(*op_, other));
    }
    if (elements >= parallelWork * 4 && !pack.others.empty()) {
      uint32_t outer = pack.others.back();
      nest.splits.push_back(
          {loop(outer), "task", "piece", taskSize(machine_, analysis_.extentOf(*op_, outer)), Tail::Guard});
      nest.parallel = {"task"};
    }
    pack.stage.placement = Placement::Root;
    pack.stage.nests = {std::move(nest)};
    how_->packs.push_back(std::move(pack));
  }

  void scheduleOutput() {
    OutputSchedule& output = schedule_.outputs[outputNumber_];
    bool inPlace = false, unmasked = false;
    double epilogue = 0;
    for (uint32_t index : output.returns) {
      const Value* v = analysis_.function.returns[index];
      inPlace |= analysis_.isInPlace(v);
      epilogue += v->def == op_ ? 1 : costOf(v->def->body);
      unmasked |= byteSize(v->type.dtype) < 4 || (v->def != op_ && analysis_.loadsOf(*v->def) != Loads::Forward);
    }
    Nest nest;
    // In place the elements are an update, where computing one twice would be wrong; a guard that always holds is free.
    Tail columnTail = unmasked || inPlace  ? Tail::Guard
                      : columnsFillTiles() ? Tail::RoundUp
                      : shiftsColumns()    ? Tail::Shift
                                           : Tail::Predicate;
    Tail rowTail = rowsFillTiles() && !inPlace ? Tail::RoundUp : Tail::Guard;
    nest.splits.push_back({dim(shape_.column), "column", "lane", inLanes() ? plan_.columns : lanes_, columnTail});
    std::vector<std::string> inner = {"lane"};
    if (!inLanes() && plan_.columns > 1) {
      nest.splits.back() = {dim(shape_.column), "column", "columns", tileColumns(), columnTail};
      nest.splits.push_back({"columns", "vector", "lane", lanes_, inPlace ? Tail::Guard : Tail::RoundUp});
      inner.push_back("vector");
      nest.unrolled.push_back("vector");
    }
    nest.splits.push_back({dim(shape_.row), "row", "rows", plan_.rows, rowTail});
    inner.push_back("rows");
    if (unrollsRows(epilogue)) {
      nest.unrolled.push_back("rows");
    }
    nest.vectorized = {"lane"};
    nest.order = inner;
    std::string row = "row";
    if (plan_.tasks == Tasks::Rows) {
      int64_t rowTiles = (static_cast<int64_t>(shape_.rows) + plan_.rows - 1) / plan_.rows;
      nest.splits.push_back({"row", "task", "row_tile", taskSize(machine_, rowTiles), Tail::Guard});
      row = "row_tile";
    }
    tileLoop_ = plan_.columnsInner ? "column" : row;
    nest.order.push_back(tileLoop_);
    nest.order.push_back(plan_.columnsInner ? row : "column");
    switch (plan_.tasks) {
    case Tasks::None: break;
    case Tasks::Columns: nest.parallel = {"column"}; break;
    case Tasks::Rows:
      nest.order.push_back("task");
      nest.parallel = {"task"};
      break;
    }
    if (inPlace) {
      output.stage.nests.push_back({});
      how_->fetchesOverwritten = !inLanes();
    }
    output.stage.nests.push_back(std::move(nest));
  }

  /// At the tile loop, for exactly one tile.
  StageSchedule tileStage() const {
    StageSchedule stage;
    stage.placement = Placement::At;
    stage.atStage = home();
    stage.atLoop = tileLoop_;
    stage.tile = {{dim(shape_.column), tileColumns()}, {dim(shape_.row), plan_.rows}};
    if (plan_.turned) {
      stage.innermost = {dim(shape_.column)};
    }
    return stage;
  }

  void addReduced(std::vector<std::string>& order) const {
    for (uint32_t q = static_cast<uint32_t>(op_->reduced.size()); q-- > 0;) {
      order.push_back("r" + std::to_string(q));
    }
  }

  void scheduleColumns() {
    how_->stage = tileStage();
    Nest start;
    start.splits = {{dim(shape_.column), "vector", "lane", lanes_, Tail::RoundUp}};
    start.vectorized = {"lane"};
    start.unrolled = {"vector", dim(shape_.row)};
    Nest update = start;
    update.order = {"lane", "vector", dim(shape_.row)};
    addReduced(update.order);
    how_->stage.nests = {std::move(start), std::move(update)};
  }

  /// The rows that a tile reads are read for the first time by the first tile of a row of tiles. While this row is
  /// summed, those of the next one are fetched, where they lie in memory as the result's rows do.
  void fetchNextRows(ExprRef e) {
    for (ExprRef arg : e->args) {
      if (e->kind != ExprKind::Access) {
        fetchNextRows(arg);
      }
    }
    if (e->kind != ExprKind::Access || isPacked(e) || !fetchesRows(shape_, machine_, plan_)) {
      return;
    }
    std::vector<bool> used = indicesOf(e, rank() + op_->reduced.size());
    const Value& read = *op_->operands[e->operand];
    int64_t elements = 1; // of a row
    for (size_t d = e->args.size(); d-- > 1;) {
      elements *= analysis_.maxOf(read.type.dims[d]);
    }
    bool inOrder = e->args[0]->kind == ExprKind::Index && e->args[0]->index == shape_.row;
    if (used[shape_.column] || !inOrder || static_cast<double>(elements) != shape_.reduction) {
      return;
    }
    int64_t columns = analysis_.extentOf(*op_, shape_.column), common = std::gcd(elements, columns);
    int64_t ahead = plan_.rows * elements;
    for (const Value* input : inputsOf(read)) {
      if (comesFromAfar(analysis_, machine_, *input)) {
        bool soon = ahead * byteSize(input->type.dtype) <= machine_.l1Bytes / 2;
        how_->fetchedWithTile.push_back(
            {analysis_.positionOf(*input->def), elements / common, columns / common, ahead, soon});
      }
    }
  }

  void scheduleLanes() {
    Lanes lanes;
    lanes.reduced = static_cast<uint32_t>(op_->reduced.size()) - 1;
    lanes.width = lanes_;
    lanes.inVectors = true;
    lanes.stage = tileStage();
    std::string column = dim(shape_.column), row = dim(shape_.row);
    Nest start;
    start.vectorized = {"u"};
    start.unrolled = {column, row};
    start.order = {"u", column, row};
    Nest update = start;
    addReduced(update.order);
    Nest rest; // what does not fill the lanes, one by one
    rest.unrolled = {column, row};
    rest.order = {column, row};
    addReduced(rest.order);
    lanes.stage.nests = {std::move(start), std::move(update), std::move(rest)};
    how_->lanes = std::move(lanes);
    how_->stage = tileStage();
    Nest zero;
    zero.unrolled = {column, row};
    Nest sum;
    sum.order = {"l", column, row};
    sum.vectorized = {"l"};
    sum.unrolled = {column, row};
    how_->stage.nests = {std::move(zero), std::move(sum)};
  }
};

} // namespace

std::optional<Schedule> scheduleContraction(const Analysis& analysis, const Machine& machine,
                                            const ContractionPlan& plan) {
  std::optional<ContractionShape> shape = contractionShape(analysis, machine, plan.turned);
  return shape ? Contraction(analysis, machine, *shape, plan).run() : std::nullopt;
}

} // namespace dnn::schedule
