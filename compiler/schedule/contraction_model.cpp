// About how many cycles a plan for a contraction takes on one core, and which plans there are.
//
// The constants are those of current x86 cores (two vector multiply-adds and two vector loads a cycle, a multiply-add
// waits four cycles for the one before it); cycles per cache line were measured on Zen 3. They need to order the plans
// rightly, not to predict times.
#include "compiler/schedule/contraction.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace dnn::schedule {

namespace {

constexpr double fmasPerCycle = 2, loadsPerCycle = 2, fmaLatency = 4;
constexpr double lineBytes = 64;
constexpr int64_t cacheWays = 8;
/// Cycles until the next cache line arrives in a loop that computes meanwhile.
constexpr double lineFromL2 = 3, lineFromL3 = 12;
/// Cycles to copy one cache line into a panel; elements of a line that does not run along the panel cost more.
constexpr double copyFromL2 = 7, copyFromL3 = 10, transposeLine = 12, gatherElement = 2.5;
/// Starting and emptying the pipeline, loading and storing the accumulators.
constexpr double tileStart = 30;
/// Summing up the lanes of one element of the result.
constexpr double sumLanes = 5;
/// What a parallel loop costs, and how long a kernel must be for it: a worker may have to be woken.
constexpr double forkCycles = 1500, worthForking = 12000;

double tiles(double extent, double tile) { return std::ceil(extent / tile); }

/// Bytes of a cache that are of use to rows of `width` bytes that lie `stride` bytes apart: with strides of large
/// powers of two the rows fall into few of its sets.
double usableBytes(int64_t cacheBytes, double stride, double width) {
  int64_t sets = std::max<int64_t>(cacheBytes / cacheWays / static_cast<int64_t>(lineBytes), 1);
  int64_t bytes = static_cast<int64_t>(stride), line = static_cast<int64_t>(lineBytes);
  if (bytes <= line || bytes % line != 0) {
    return static_cast<double>(cacheBytes);
  }
  int64_t step = std::gcd(bytes / line, sets);
  double used = static_cast<double>(sets / step) * std::min(static_cast<double>(step), std::ceil(width / lineBytes));
  return used * static_cast<double>(cacheWays) * lineBytes;
}

/// Cycles for each line of a block that is read again and again.
double rereading(double bytes, const Machine& machine, double stride, double width) {
  if (bytes <= usableBytes(machine.l1Bytes, stride, width) / 2) {
    return 0;
  }
  return bytes <= usableBytes(machine.l2Bytes, stride, width) * 0.75 ? lineFromL2 : lineFromL3;
}

class Model {
public:
  Model(const ContractionShape& shape, const Machine& machine) : shape_(shape), machine_(machine) {}

  double cycles(const ContractionPlan& plan) const {
    double columns = static_cast<double>(plan.columns) * (overColumns(plan) ? lanes() : 1);
    double rowTiles = tiles(shape_.rows, static_cast<double>(plan.rows));
    double columnTiles = tiles(shape_.columns, columns);
    double all = rowTiles * columnTiles * shape_.others;
    double total = all * (overColumns(plan) ? columnTile(plan, columns) : lanesTile(plan)) + packing(plan, columns);
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

private:
  const ContractionShape& shape_;
  const Machine& machine_;

  static bool overColumns(const ContractionPlan& plan) { return plan.accumulate == Accumulate::Columns; }
  double lanes() const { return static_cast<double>(shape_.lanes); }
  double bytes() const { return static_cast<double>(shape_.bytes); }

  /// Cycles of multiply-adds of r × c vectors with r + c loads. Loads that can be hidden are not quite free.
  static double compute(double r, double c) {
    return std::max({r * c / fmasPerCycle, (r + c) / loadsPerCycle, fmaLatency}) + 0.05 * (r + c);
  }

  double columnTile(const ContractionPlan& plan, double columns) const {
    double r = static_cast<double>(plan.rows), t = static_cast<double>(plan.columns);
    double width = columns * bytes(), lines = std::ceil(width / lineBytes);
    double line = plan.packing == Packing::None
                      ? rereading(shape_.reduction * lines * lineBytes, machine_, shape_.columnStride, width)
                      : rereading(shape_.reduction * width, machine_, 0, width);
    double step = std::max(compute(r, t), lines * line);
    return shape_.reduction * step + tileStart + r * t * (1 + shape_.epilogue) / fmasPerCycle;
  }

  double lanesTile(const ContractionPlan& plan) const {
    double r = static_cast<double>(plan.rows), c = static_cast<double>(plan.columns);
    double line = rereading(shape_.reduction * shape_.rows * bytes(), machine_, 0, 0);
    double lines = r * lanes() * bytes() / lineBytes;
    double step = std::max(compute(r, c), lines * line);
    double rest = std::fmod(shape_.reduction, lanes());
    return std::floor(shape_.reduction / lanes()) * step + rest * r * c / fmasPerCycle + tileStart + r * c * sumLanes +
           r * (1 + shape_.epilogue);
  }

  double packing(const ContractionPlan& plan, double columns) const {
    if (plan.packing == Packing::None) {
      return 0;
    }
    double elements = tiles(shape_.columns, columns) * columns * shape_.reduction,
           lines = elements * bytes() / lineBytes;
    double copy = elements * bytes() <= static_cast<double>(machine_.l2Bytes) / 2 ? copyFromL2 : copyFromL3;
    if (shape_.columnsContiguous) {
      return lines * copy;
    }
    return shape_.reductionContiguous ? lines * (copy + transposeLine) : elements * gatherElement;
  }
};

} // namespace

std::vector<ContractionPlan> contractionPlans(const ContractionShape& shape, const Machine& machine) {
  Model model(shape, machine);
  std::vector<ContractionPlan> plans;
  auto add = [&](ContractionPlan plan) {
    plan.tasks = Tasks::None;
    plan.cycles = model.cycles(plan);
    double alone = plan.cycles;
    plans.push_back(plan);
    if (alone < worthForking || machine.cores < 2) {
      return;
    }
    for (Tasks tasks : {Tasks::Columns, Tasks::Rows}) {
      // A task of rows would pack the same panels again.
      if (tasks == Tasks::Rows && plan.packing == Packing::Panel) {
        continue;
      }
      plan.tasks = tasks;
      plan.cycles = model.cycles(plan);
      plans.push_back(plan);
    }
  };
  int64_t rows = static_cast<int64_t>(shape.rows);
  int64_t registers = machine.vectorRegisters;
  for (int64_t t = 1; t <= 4; ++t) {
    int64_t columns = t * shape.lanes;
    if (t > 1 && (t - 1) * shape.lanes >= static_cast<int64_t>(shape.columns)) {
      break; // a vector without any column
    }
    bool fills = static_cast<int64_t>(shape.columns) % columns == 0 && !shape.mustPack;
    for (int64_t r = 1; r <= rows && t * r + t + 1 <= registers && r <= 12; ++r) {
      if (fills && shape.columnsContiguous) {
        add({Accumulate::Columns, r, t, Packing::None});
      }
      if (shape.others == 1) { // else a panel would be packed again for each of the others
        add({Accumulate::Columns, r, t, Packing::Panel});
      }
      add({Accumulate::Columns, r, t, Packing::Whole});
    }
  }
  int64_t across = 16 / shape.bytes; // the result is written in vectors of 16 bytes
  if (shape.reductionContiguous && static_cast<int64_t>(shape.columns) >= across) {
    for (int64_t r = 1; r <= rows && r * across + r + 1 <= registers; ++r) {
      add({Accumulate::Lanes, r, across, Packing::None});
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
  case Packing::Panel: text += " panel"; break;
  case Packing::Whole: text += " packed"; break;
  }
  switch (plan.tasks) {
  case Tasks::None: break;
  case Tasks::Columns: text += " tasks of columns"; break;
  case Tasks::Rows: text += " tasks of rows"; break;
  }
  return text;
}

} // namespace dnn::schedule
