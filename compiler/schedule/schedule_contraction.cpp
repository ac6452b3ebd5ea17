// Products of matrices, their transposes, convolutions: register tiles.
//
//   for each tile of R rows × T columns of the result      T = t vectors; 12 to 16 accumulators stay in registers
//     for each point of the reduction
//       t loads of the operand that runs along the columns, R broadcasts of the other, t·R multiply-adds
//     epilogue on the tile, written to the outputs
//
// "Columns" are the result's innermost dimension, "rows" the largest other one that the column operand does not depend
// on. A column operand that is not contiguous along the columns, or whose columns do not fill vectors, is packed first;
// so is an operand that is computed rather than loaded.
#include "compiler/schedule/templates.h"

#include <algorithm>

namespace dnn::schedule {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::Value;

namespace {

struct Tile {
  int64_t vectors = 1;
  int64_t rows = 1;
};

/// Rows that waste little of the last tile, between 2/3 of `most` and `most`.
int64_t fittingRows(int64_t extent, int64_t most) {
  if (extent <= most) {
    return extent;
  }
  int64_t best = most, bestWaste = extent;
  for (int64_t rows = most; rows * 3 >= most * 2; --rows) {
    int64_t waste = (extent + rows - 1) / rows * rows - extent;
    if (waste < bestWaste) {
      best = rows;
      bestWaste = waste;
    }
  }
  return best;
}

class Contraction {
public:
  Contraction(const Analysis& analysis, const Machine& machine) : analysis_(analysis), machine_(machine) {}

  std::optional<Schedule> run() {
    if (!findAnchor() || !findRowsAndColumns() || !outputsFit()) {
      return std::nullopt;
    }
    schedule_ = placeStages(analysis_, op_);
    auto home = std::ranges::find_if(schedule_.outputs, [&](const OutputSchedule& output) {
      return std::ranges::any_of(output.returns,
                                 [&](uint32_t index) { return dependsOnAnchor(analysis_.function.returns[index]); });
    });
    if (home == schedule_.outputs.end()) {
      return std::nullopt;
    }
    outputNumber_ = static_cast<size_t>(home - schedule_.outputs.begin());
    schedule_.family = "contraction";
    chooseTile();
    how_ = &*std::ranges::find(schedule_.ops, analysis_.positionOf(*op_), &OpSchedule::op);
    packOperands(op_->body);
    scheduleOutput();
    scheduleAnchor();
    scheduleLoops(analysis_, machine_, schedule_, op_);
    return std::move(schedule_);
  }

private:
  const Analysis& analysis_;
  const Machine& machine_;
  const Op* op_ = nullptr;
  uint32_t row_ = 0, column_ = 0; // positions in dims
  int64_t lanes_ = 1;
  Tile tile_;
  Schedule schedule_;
  size_t outputNumber_ = 0;
  OpSchedule* how_ = nullptr;
  std::string tileLoop_; // of the output stage, around one tile

  static std::string dim(uint32_t d) { return "i" + std::to_string(d); }
  int64_t tileColumns() const { return tile_.vectors * lanes_; }

  bool findAnchor() {
    for (const Op* op : analysis_.function.body.ops) {
      if (isContraction(*op, analysis_.function.symbols)) {
        if (op_ != nullptr) {
          return false;
        }
        op_ = op;
      }
    }
    return op_ != nullptr;
  }

  bool dependsOnAnchor(const Value* v) const {
    return v->def == op_ || std::ranges::any_of(v->def->operands, [&](const Value* o) { return dependsOnAnchor(o); });
  }

  /// Everything computed from the anchor is elementwise at its own point.
  bool outputsFit() const {
    const Dim& columns = analysis_.dimOf(*op_, column_);
    bool ragged = !columns.isStatic() || columns.constant() % (4 * machine_.lanes(4)) != 0;
    if (ragged && std::ranges::any_of(analysis_.function.body.ops, [&](const Op* op) {
          return op->kind == graph::OpKind::Comp && analysis_.loadsOf(*op) == Loads::Backward;
        })) {
      return false;
    }
    for (const Op* op : analysis_.function.body.ops) {
      for (const Value* operand : op->operands) {
        if (dependsOnAnchor(operand) && !usesPointwise(*op, operand)) {
          return false;
        }
      }
    }
    return true;
  }

  bool findRowsAndColumns() {
    bool found = false;
    for (uint32_t d = 0; d < op_->dims.size(); ++d) {
      if (analysis_.extentOf(*op_, d) > 1) {
        column_ = d;
        found = true;
      }
    }
    if (!found) {
      return false;
    }
    std::vector<bool> reused(op_->dims.size()); // dims that some access along the columns does not depend on
    graph::forEachNode(op_->body, [&](ExprRef e) {
      if (e->kind == ExprKind::Access) {
        std::vector<bool> used = indicesOf(e, op_->dims.size() + op_->reduced.size());
        for (uint32_t d = 0; d < op_->dims.size() && used[column_]; ++d) {
          reused[d] = reused[d] || !used[d];
        }
      }
    });
    int64_t best = 1;
    for (uint32_t d = 0; d < op_->dims.size(); ++d) {
      if (d != column_ && reused[d] && analysis_.extentOf(*op_, d) > best) {
        best = analysis_.extentOf(*op_, d);
        row_ = d;
      }
    }
    return best > 1;
  }

  void chooseTile() {
    int64_t columns = analysis_.extentOf(*op_, column_);
    lanes_ = machine_.lanes(std::max(byteSize(op_->body->dtype), 4));
    while (lanes_ > 4 && lanes_ / 2 >= columns) {
      lanes_ /= 2;
    }
    // Most rows for 1, 2, 3, 4 vectors, so that accumulators, operands and a broadcast fit the registers.
    static constexpr int64_t rows512[] = {12, 8, 6, 4};
    static constexpr int64_t rows256[] = {8, 6, 4, 3};
    const auto& rows = machine_.vectorRegisters >= 32 ? rows512 : rows256;
    int64_t widest = machine_.vectorRegisters >= 32 ? 4 : 2;
    int64_t vectors = (columns + lanes_ - 1) / lanes_;
    tile_.vectors = std::min(widest, vectors);
    if (analysis_.dimOf(*op_, column_).isStatic()) {
      while (vectors % tile_.vectors != 0) {
        --tile_.vectors;
      }
    }
    tile_.rows = fittingRows(analysis_.extentOf(*op_, row_), rows[tile_.vectors - 1]);
  }

  bool columnsFillTiles() const {
    const Dim& columns = analysis_.dimOf(*op_, column_);
    return columns.isStatic() && columns.constant() % tileColumns() == 0;
  }

  bool rowsFillTiles() const {
    const Dim& rows = analysis_.dimOf(*op_, row_);
    return rows.isStatic() && rows.constant() % tile_.rows == 0;
  }

  static bool hasAccess(ExprRef e) {
    bool found = false;
    graph::forEachNode(e, [&](ExprRef node) { found |= node->kind == ExprKind::Access; });
    return found;
  }

  void packOperands(ExprRef e) {
    std::vector<bool> used = indicesOf(e, op_->dims.size() + op_->reduced.size());
    bool alongColumns = used[column_], alongRows = used[row_];
    bool computed = e->kind == ExprKind::Apply && costOf(e) > 3 && hasAccess(e);
    if (alongColumns && !alongRows && hasAccess(e)) {
      bool direct =
          e->kind == ExprKind::Access && columnsFillTiles() && analysis_.strideOf(*op_, e, column_) == Stride::Unit;
      bool cheapSum = e->kind == ExprKind::Apply && !computed;
      if (!direct && !cheapSum) {
        pack(e, column_, tileColumns(), used);
        return;
      }
    } else if (alongRows && !alongColumns && computed) {
      pack(e, innermostUsed(used), 1, used);
      return;
    }
    if (e->kind == ExprKind::Apply || e->kind == ExprKind::Cast) {
      for (ExprRef arg : e->args) {
        packOperands(arg);
      }
    }
  }

  static uint32_t innermostUsed(const std::vector<bool>& used) {
    uint32_t last = 0;
    for (uint32_t i = 0; i < used.size(); ++i) {
      last = used[i] ? i : last;
    }
    return last;
  }

  void pack(ExprRef part, uint32_t along, int64_t multiple, const std::vector<bool>& used) {
    if (std::ranges::any_of(how_->packs, [&](const Pack& p) { return p.part == part; })) {
      return;
    }
    Pack result;
    result.part = part;
    result.along = along;
    result.multiple = multiple;
    double elements = static_cast<double>(analysis_.extentOf(*op_, along));
    for (uint32_t i = static_cast<uint32_t>(used.size()); i-- > 0;) {
      if (used[i] && i != along) {
        result.others.push_back(i);
        elements *= static_cast<double>(analysis_.extentOf(*op_, i));
      }
    }
    auto loop = [&](uint32_t i) {
      uint32_t rank = static_cast<uint32_t>(op_->dims.size());
      return i < rank ? dim(i) : "r" + std::to_string(i - rank);
    };
    Nest nest;
    const Dim& extent = analysis_.dimOf(*op_, along);
    bool whole = extent.isStatic() && extent.constant() % lanes_ == 0;
    bool contiguous = part->kind != ExprKind::Access || analysis_.strideOf(*op_, part, along) == Stride::Unit;
    Tail tail = whole ? Tail::RoundUp : contiguous && byteSize(part->dtype) >= 4 ? Tail::Predicate : Tail::Guard;
    // A loop of a reduction variable may not round up, and the element loop is one.
    nest.splits.push_back({loop(along), "vector", "lane", lanes_, whole ? Tail::Guard : tail});
    nest.vectorized = {"lane"};
    if (elements >= parallelWork * 4 && !result.others.empty()) {
      uint32_t outer = result.others.back();
      nest.splits.push_back(
          {loop(outer), "task", "piece", taskSize(machine_, analysis_.extentOf(*op_, outer)), Tail::Guard});
      nest.parallel = {"task"};
    }
    result.stage.placement = Placement::Root;
    result.stage.nests = {Nest{}, std::move(nest)};
    how_->packs.push_back(std::move(result));
  }

  void scheduleOutput() {
    OutputSchedule& output = schedule_.outputs[outputNumber_];
    bool inPlace = false;
    double epilogue = 0;
    for (uint32_t index : output.returns) {
      const Value* v = analysis_.function.returns[index];
      inPlace |= analysis_.isInPlace(v);
      epilogue += v->def == op_ ? 1 : costOf(v->def->body);
    }
    Nest nest;
    bool unmasked = std::ranges::any_of(output.returns, [&](uint32_t index) {
      const Value* v = analysis_.function.returns[index];
      return byteSize(v->type.dtype) < 4 || (v->def != op_ && analysis_.loadsOf(*v->def) != Loads::Forward);
    });
    // In place the elements are an update, where computing one twice would be wrong; a guard that always holds is free.
    Tail columnTail = unmasked || inPlace ? Tail::Guard : columnsFillTiles() ? Tail::RoundUp : Tail::Predicate;
    Tail rowTail = rowsFillTiles() && !inPlace ? Tail::RoundUp : Tail::Guard;
    nest.splits.push_back({dim(column_), "column", "lane", lanes_, columnTail});
    std::vector<std::string> inner = {"lane"};
    if (tile_.vectors > 1) {
      nest.splits.back() = {dim(column_), "column", "columns", tileColumns(), columnTail};
      nest.splits.push_back({"columns", "vector", "lane", lanes_, inPlace ? Tail::Guard : Tail::RoundUp});
      inner.push_back("vector");
      nest.unrolled.push_back("vector");
    }
    nest.splits.push_back({dim(row_), "row", "rows", tile_.rows, rowTail});
    inner.push_back("rows");
    if (epilogue <= 8) {
      nest.unrolled.push_back("rows");
    }
    nest.vectorized = {"lane"};

    int64_t columnTiles = (analysis_.extentOf(*op_, column_) + tileColumns() - 1) / tileColumns();
    int64_t rowTiles = (analysis_.extentOf(*op_, row_) + tile_.rows - 1) / tile_.rows;
    bool parallel = analysis_.points(*op_) / static_cast<double>(lanes_) >= parallelWork / 2;
    // Panels of columns keep the column operand in cache. In place, two cores should not write into one page: rows.
    bool byColumns = columnTiles >= 2 * machine_.cores && !inPlace;
    nest.order = inner;
    tileLoop_ = "row";
    if (byColumns || !parallel || rowTiles < 2) {
      nest.order.insert(nest.order.end(), {"row", "column"});
      if (parallel && columnTiles > 1) {
        nest.parallel = {"column"};
      }
    } else {
      nest.splits.push_back({"row", "task", "row_tile", taskSize(machine_, rowTiles), Tail::Guard});
      tileLoop_ = "row_tile";
      nest.order.insert(nest.order.end(), {"row_tile", "column", "task"});
      nest.parallel = {"task"};
    }
    if (inPlace) {
      output.stage.nests.push_back({});
    }
    output.stage.nests.push_back(std::move(nest));
  }

  void scheduleAnchor() {
    how_->stage.placement = Placement::At;
    how_->stage.atStage = "out" + std::to_string(outputNumber_);
    how_->stage.atLoop = tileLoop_;
    how_->stage.tile = {{dim(column_), tileColumns()}, {dim(row_), tile_.rows}};
    if (!rowsFillTiles()) {
      how_->clamped.push_back(row_);
    }
    if (!columnsFillTiles()) {
      how_->clamped.push_back(column_);
    }
    Nest start;
    start.splits = {{dim(column_), "vector", "lane", lanes_, Tail::RoundUp}};
    start.vectorized = {"lane"};
    start.unrolled = {"vector", dim(row_)};
    Nest update = start;
    update.order = {"lane", "vector", dim(row_)};
    for (uint32_t q = static_cast<uint32_t>(op_->reduced.size()); q-- > 0;) {
      update.order.push_back("r" + std::to_string(q));
    }
    how_->stage.nests = {std::move(start), std::move(update)};
  }
};

} // namespace

std::optional<Schedule> scheduleContraction(const Analysis& analysis, const Machine& machine) {
  return Contraction(analysis, machine).run();
}

} // namespace dnn::schedule
