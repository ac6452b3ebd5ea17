// About how many cycles a plan for a contraction takes on one core, and which plans there are.
//
// The constants are those of current x86 cores (a multiply-add waits a little more than four cycles for the one before
// it); cycles per cache line were measured on Zen 3. They need to order the plans rightly, not to predict times.
#include "compiler/schedule/caches.h"
#include "compiler/schedule/contraction.h"
#include "compiler/schedule/templates.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <utility>

namespace dnn::schedule {

namespace {

constexpr double elementsPerCycle = 2, fmaLatency = 4.5; // single elements that are loaded
/// Cycles until the next cache line arrives in a loop that computes meanwhile.
constexpr double lineFromL2 = 3, lineFromL3 = 10;
/// The same where lines follow each other in memory.
constexpr double nextLineFromL2 = 2, nextLineFromL3 = 4, nextLineFromMemory = 12;
/// More for the lines of several rows side by side that come from memory.
constexpr double rowsFromMemory = 2;
/// Cycles to copy one cache line into a panel; elements of a line that does not run along the panel cost more.
constexpr double copyFromL2 = 7, copyFromL3 = 14, transposeLine = 12, gatherElement = 2.5;
/// More where all panels are written before the first is read: out to the third level and back.
constexpr double copyBack = 8;
/// What is left of that where the first tile copies and computes at once.
constexpr double copyWithUse = 0.6;
/// Cycles to copy the elements of one tile's rows for one reduced index, for each piece that they are cut into.
constexpr double copyRow = 2.4;
/// Starting and emptying the pipeline, loading and storing the accumulators.
constexpr double tileStart = 30;
/// Summing up the lanes of one element of the result.
constexpr double sumLanes = 5;
/// Writing, or reading for the epilogue, one element of a vector whose elements are not neighbours in memory.
constexpr double stridedElement = 1.2;
/// Larger tiles are not faster, and take longer to compile.
constexpr int64_t mostAccumulators = 24;
/// What a parallel loop costs, and how long a kernel must be for it: a worker may have to be woken.
constexpr double forkCycles = 1500, worthForking = 24000;

/// Vectors whose lengths are powers of two; one or two elements take as long as two vectors.
double piecesOf(int64_t elements) {
  auto bits = static_cast<uint64_t>(elements);
  return std::popcount(bits) + std::popcount(bits & 3);
}

double tiles(double extent, double tile) { return std::ceil(extent / tile); }

/// Cycles for each line of a block that is read again and again, in rows of `width` bytes that lie `stride` apart.
double rereading(double bytes, const Machine& machine, double stride, double width) {
  if (bytes <= usableBytes(machine.l1Bytes, stride, width) / 2) {
    return 0;
  }
  return bytes <= usableBytes(machine.l2Bytes, stride, width) * 0.75 ? lineFromL2 : lineFromL3;
}

/// The same for a block without gaps.
double streaming(double bytes, const Machine& machine) {
  if (bytes <= static_cast<double>(machine.l1Bytes) / 2) {
    return 0;
  }
  return bytes <= static_cast<double>(machine.l2Bytes) * 0.75 ? nextLineFromL2
         : bytes <= l3Share                                   ? nextLineFromL3
                                                              : nextLineFromMemory;
}

class Model {
public:
  Model(const ContractionShape& shape, const Machine& machine) : shape_(shape), machine_(machine) {}

  double cycles(const ContractionPlan& plan) const {
    double columns = static_cast<double>(plan.columns) * (overColumns(plan) ? lanes() : 1);
    double rowTiles = tiles(shape_.rows, static_cast<double>(plan.rows));
    double columnTiles = tiles(shape_.columns, columns);
    double total = packing(plan, columns);
    if (overColumns(plan)) {
      // Of the last tile, only the vectors and rows with results are computed where the extents are known, if the
      // epilogue writes its rows out; but tasks are whole tiles, as their loop is not divided.
      double vectors = tiles(shape_.columns, lanes());
      bool parted = unrollsRows(shape_.epilogue);
      bool fewer = parted && shape_.rowsStatic && plan.tasks != Tasks::Rows;
      for (auto [rowCount, r] : parts(shape_.rows, static_cast<double>(plan.rows), fewer)) {
        // Without a copy, the last tile starts earlier instead.
        bool partial = parted && shape_.columnsStatic && plan.packing != Packing::None && plan.tasks != Tasks::Columns;
        for (auto [count, t] : parts(vectors, static_cast<double>(plan.columns), partial)) {
          total += shape_.others * rowCount * count * columnTile(plan, r, t);
        }
      }
    } else {
      total += shape_.others * rowTiles * columnTiles * lanesTile(plan);
    }
    if (plan.tasks == Tasks::None) {
      return total;
    }
    double cores = machine_.cores, tasks = plan.tasks == Tasks::Columns ? columnTiles : rowTiles;
    double share = std::ceil(tasks / cores) / tasks;
    if (shape_.inPlace && plan.tasks == Tasks::Columns) {
      share = std::min(1.0, share * 1.4); // two cores write into neighbouring lines
    }
    return forkCycles + total * share;
  }

  /// Whether the rows of a tile compete for the same few lines of the first level.
  bool rowsCollide(double r) const {
    return shape_.rowsAlongReduction && r * lineBytes > usableBytes(machine_.l1Bytes, shape_.rowPitch, lineBytes) / 2;
  }

private:
  const ContractionShape& shape_;
  const Machine& machine_;

  /// Rows of a tile whose lines the first level cannot hold beside those of the others: each term reads them again.
  double lostRows(double r) const {
    double held = usableBytes(machine_.l1Bytes, shape_.rowPitch, lineBytes) / lineBytes;
    return shape_.rowsAlongReduction ? std::max(r - held, 0.0) : 0;
  }

  static bool overColumns(const ContractionPlan& plan) { return plan.accumulate == Accumulate::Columns; }
  /// Computing and waiting for memory overlap, but not fully.
  static double together(double a, double b) { return std::max(a, b) + 0.3 * std::min(a, b); }

  double lanes() const { return static_cast<double>(shape_.lanes); }
  double bytes() const { return static_cast<double>(shape_.bytes); }

  double fmasPerCycle() const { return machine_.vectorsPerCycle(shape_.lanes * shape_.bytes * 8); }

  /// Cycles of multiply-adds of r × c vectors with loads of r elements, or vectors, and c vectors. Hidden loads are not
  /// quite free, least of all where the core is shared with another hardware thread.
  double compute(double r, double c, bool rowVectors) const {
    double loads = r / (rowVectors ? fmasPerCycle() : elementsPerCycle) + c / fmasPerCycle();
    return std::max({r * c / fmasPerCycle(), loads, fmaLatency}) + 0.15 * (r + c);
  }

  /// How many whole tiles and how large they are, and the same of the last one.
  static std::array<std::pair<double, double>, 2> parts(double extent, double tile, bool isStatic) {
    double whole = std::floor(extent / tile), rest = extent - whole * tile;
    return {{{whole, tile}, {rest > 0 ? 1 : 0, isStatic ? rest : tile}}};
  }

  double columnTile(const ContractionPlan& plan, double r, double t) const {
    double width = t * lanes() * bytes(), lines = std::ceil(width / lineBytes);
    double all = plan.columnsInner ? shape_.columns * bytes() : width;
    double line = plan.packing == Packing::None ? rereading(shape_.reduction * all, machine_, shape_.columnStride, all)
                                                : streaming(shape_.reduction * all, machine_);
    bool gaps = shape_.rowsContiguous && !plan.packRows;
    double rowLines = (gaps ? 1 : 0) + r * bytes() / lineBytes + (plan.packRows ? 0 : lostRows(r));
    double rowBytes = shape_.reduction * bytes() * (runsByRows(shape_, plan) ? r : shape_.rows);
    double rowLine = gaps ? rereading(shape_.reduction * lineBytes, machine_, shape_.rowStride, lineBytes)
                          : streaming(rowBytes, machine_);
    if (rowLine >= nextLineFromL3 && !plan.packRows && rowsCollide(r)) {
      rowLine = std::max(rowLine, lineFromL3);
    }
    double step = 0;
    if (!runsByRows(shape_, plan) && shortStreams(shape_.reduction * bytes() * rowsOfTask(plan))) {
      step = together(compute(r, t, false), lines * line) +
             rowLines * (rowLine + (rowBytes > l3Share ? rowsFromMemory : 0));
    } else {
      step = together(compute(r, t, false), lines * line + rowLines * rowLine);
    }
    if (plan.packing == Packing::Whole && !plan.columnsInner) { // the first tile of a task finds its panel far away
      bool nearby = shape_.reduction * shape_.columns * bytes() <= static_cast<double>(machine_.l2Bytes) * 0.75;
      step += lines * (nearby ? lineFromL2 : lineFromL3) / tiles(rowsOfTask(plan), r);
    }
    double strided = shape_.turned ? r * t * lanes() * (1 + 2 * shape_.overwritten) * stridedElement : 0;
    return shape_.reduction * step + tileStart + r * t * (1 + shape_.epilogue) / fmasPerCycle() + strided +
           r * lines * (shape_.overwritten > 0 ? shape_.overwritten * overwrittenLine(plan) : writtenLine(plan));
  }

  /// Cycles for a line of a result that no cache near the core holds: columns of a tile alone are lines far apart.
  double writtenLine(const ContractionPlan& plan) const {
    double all = shape_.others * shape_.rows * shape_.columns * bytes();
    if (shape_.turned || all <= static_cast<double>(machine_.l2Bytes) * 0.75) {
      return 0;
    }
    return runsByRows(shape_, plan) ? nextLineFromL3 : lineFromL3;
  }

  /// Rows that are much larger than the second cache, and end before what fetches ahead has got far: computing hardly
  /// hides how long they take.
  bool shortStreams(double rowBytes) const {
    constexpr double longStream = 4096;
    return !shape_.rowsContiguous && rowBytes > 2 * static_cast<double>(machine_.l2Bytes) &&
           shape_.reduction * bytes() <= longStream;
  }

  /// How many rows go through all columns before the next ones begin.
  double rowsOfTask(const ContractionPlan& plan) const {
    if (plan.tasks != Tasks::Rows) {
      return shape_.rows;
    }
    auto rowTiles = static_cast<int64_t>(tiles(shape_.rows, static_cast<double>(plan.rows)));
    return static_cast<double>(taskSize(machine_, rowTiles) * plan.rows);
  }

  /// Cycles until a line of what the epilogue overwrites is there. By rows, the next tile needs the lines that follow.
  double overwrittenLine(const ContractionPlan& plan) const {
    double all = shape_.rows * shape_.columns * bytes() * shape_.overwritten;
    if (all <= static_cast<double>(machine_.l2Bytes) * 0.75) {
      return plan.columnsInner ? nextLineFromL2 : lineFromL2;
    }
    return plan.columnsInner ? nextLineFromL3 : lineFromL3;
  }

  double lanesTile(const ContractionPlan& plan) const {
    double r = static_cast<double>(plan.rows), c = static_cast<double>(plan.columns);
    double line = streaming(shape_.reduction * shape_.rows * bytes(), machine_);
    double columnLine = streaming(shape_.reduction * c * bytes(), machine_);
    double step = together(compute(r, c, true), (r * line + c * columnLine) * lanes() * bytes() / lineBytes);
    double rest = std::fmod(shape_.reduction, lanes());
    return std::floor(shape_.reduction / lanes()) * step + rest * r * c / fmasPerCycle() + tileStart +
           r * c * sumLanes + r * (1 + shape_.epilogue);
  }

  double packing(const ContractionPlan& plan, double columns) const {
    double rowCopy = 0;
    if (plan.packRows) {
      double lines = shape_.rows * shape_.reduction * bytes() / lineBytes;
      rowCopy = shape_.rowsContiguous ? tiles(shape_.rows, static_cast<double>(plan.rows)) * shape_.reduction *
                                            copyRow * piecesOf(plan.rows)
                                      : lines * (copyFromL3 + copyBack);
      if (lines * lineBytes > l3Share) { // written out, too
        rowCopy += 2 * lines * nextLineFromMemory;
      }
    }
    if (plan.packing == Packing::None) {
      return rowCopy;
    }
    if (!overColumns(plan)) {
      return shape_.columns * shape_.reduction * stridedElement;
    }
    double elements = tiles(shape_.columns, columns) * columns * shape_.reduction,
           lines = elements * bytes() / lineBytes;
    bool nearby = elements * bytes() <= static_cast<double>(machine_.l2Bytes) / 2;
    double copy = nearby ? copyFromL2 : copyFromL3;
    copy += !nearby && plan.packing == Packing::Whole ? copyBack : 0;
    if (shape_.columnsContiguous) {
      bool withUse = plan.packing == Packing::Panel && copiesWithUse(shape_, static_cast<int64_t>(columns));
      return rowCopy + lines * copy * (withUse ? copyWithUse : 1);
    }
    return rowCopy + (shape_.reductionContiguous ? lines * (copy + transposeLine) : elements * gatherElement);
  }
};

} // namespace

bool canShiftColumns(const ContractionShape& shape, double tileColumns) {
  // A computed operand is copied, and panels of a copy have fixed places.
  return shape.columnsStatic && shape.columnsContiguous && costOf(shape.op->body) <= 4 && !shape.inPlace &&
         !shape.unmasked && shape.columns >= tileColumns;
}

bool copiesWithUse(const ContractionShape& shape, int64_t tileColumns) {
  return shape.columnsStatic && shape.columnsContiguous && shape.op->reduced.size() == 1 &&
         static_cast<int64_t>(shape.columns) % tileColumns == 0;
}

int64_t pointsAhead(const ContractionShape& shape, const Machine& machine) {
  // Of an operand that the second level holds a line comes in the time of a few points; from the third level, or the
  // other core's cache, it takes as long as twenty.
  double operand = shape.columns * shape.reduction * static_cast<double>(shape.bytes);
  return operand > static_cast<double>(machine.l2Bytes) ? 32 : 16;
}

namespace {

void addPlans(const ContractionShape& shape, const Machine& machine, std::vector<ContractionPlan>& plans) {
  Model model(shape, machine);
  auto add = [&](ContractionPlan plan) {
    plan.turned = shape.turned;
    plan.cycles = model.cycles(plan);
    double alone = plan.cycles;
    plans.push_back(plan);
    if (alone < worthForking || machine.cores < 2) {
      return;
    }
    for (Tasks tasks : {Tasks::Columns, Tasks::Rows}) {
      // A task of rows would pack the same panels again; a task of columns has no row of tiles.
      if (tasks == Tasks::Rows ? plan.packing == Packing::Panel : plan.columnsInner) {
        continue;
      }
      plan.tasks = tasks;
      plan.cycles = model.cycles(plan);
      plans.push_back(plan);
    }
  };
  auto addOrders = [&](ContractionPlan plan) {
    for (bool packRows : {false, true}) {
      // Without panels only where rows collide, which the copy's distance between rows prevents.
      bool possible = shape.rowsContiguous ? shape.rowsStatic : model.rowsCollide(static_cast<double>(plan.rows));
      if (packRows && (!possible || shape.others > 1)) {
        continue;
      }
      plan.packRows = packRows;
      for (bool columnsInner : {false, true}) {
        if (columnsInner && (plan.packing == Packing::Panel || runsByRows(shape, plan))) {
          continue;
        }
        plan.columnsInner = columnsInner;
        add(plan);
      }
    }
  };
  int64_t rows = static_cast<int64_t>(shape.rows);
  int64_t registers = machine.vectorRegisters;
  for (int64_t t = 1; t <= 4; ++t) {
    int64_t columns = t * shape.lanes;
    if (t > 1 && (t - 1) * shape.lanes >= static_cast<int64_t>(shape.columns)) {
      break; // a vector without any column
    }
    bool fills = shape.columnsStatic && (static_cast<int64_t>(shape.columns) % columns == 0 ||
                                         canShiftColumns(shape, static_cast<double>(columns)));
    for (int64_t r = 1; r <= rows && t * r + t + 1 <= registers && t * r <= mostAccumulators; ++r) {
      if (fills && shape.columnsContiguous) {
        addOrders({Accumulate::Columns, r, t, Packing::None});
      }
      if (shape.turned) {
        continue; // for narrow results, where a copy is used too rarely to pay
      }
      if (shape.others == 1) { // else a panel would be packed again for each of the others
        addOrders({Accumulate::Columns, r, t, Packing::Panel});
      }
      addOrders({Accumulate::Columns, r, t, Packing::Whole});
    }
  }
  if (!shape.reductionPackable || shape.turned) {
    return;
  }
  for (int64_t across = 2; across <= 6; ++across) {
    // The result is written in vectors of 16 bytes, or in some that fill it.
    bool fills = shape.columnsStatic && static_cast<int64_t>(shape.columns) % across == 0;
    if (static_cast<int64_t>(shape.columns) < across || (across != 16 / shape.bytes && !fills)) {
      continue;
    }
    for (int64_t r = 1; r <= rows && r * across + across + 1 <= registers && 4 * r * across <= 3 * registers; ++r) {
      add({Accumulate::Lanes, r, across, shape.reductionContiguous ? Packing::None : Packing::Whole});
    }
  }
}

} // namespace

std::vector<ContractionPlan> contractionPlans(const Analysis& analysis, const Machine& machine) {
  std::vector<ContractionPlan> plans;
  for (bool turned : {false, true}) {
    std::optional<ContractionShape> shape = contractionShape(analysis, machine, turned);
    // Writing in strides pays where columns as they lie would hardly fill a tile.
    if (shape && (!turned || shape->rows <= 4 * static_cast<double>(shape->lanes))) {
      addPlans(*shape, machine, plans);
    }
  }
  std::ranges::stable_sort(plans, {}, &ContractionPlan::cycles);
  return plans;
}

std::string print(const ContractionPlan& plan) {
  std::string text = plan.accumulate == Accumulate::Columns ? "columns" : "lanes";
  text += " " + std::to_string(plan.rows) + "x" + std::to_string(plan.columns);
  switch (plan.packing) {
  case Packing::None: break;
  case Packing::Panel: text += ", columns packed by panels"; break;
  case Packing::Whole: text += ", columns packed"; break;
  }
  text += plan.packRows ? ", rows packed" : "";
  text += plan.turned ? ", turned" : "";
  text += plan.columnsInner ? ", by rows" : "";
  switch (plan.tasks) {
  case Tasks::None: break;
  case Tasks::Columns: text += ", tasks of columns"; break;
  case Tasks::Rows: text += ", tasks of rows"; break;
  }
  return text;
}

} // namespace dnn::schedule
