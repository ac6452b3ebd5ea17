// The ways to run a contraction: which there are, and about how long each takes.
//
// Every plan gives the right result; they differ in time alone. chooseSchedule takes the one that the model finds
// fastest. bench/schedules compiles several and measures whether the model chose well.
#pragma once

#include "compiler/schedule/analysis.h"
#include "compiler/schedule/machine.h"
#include "compiler/schedule/schedule.h"

#include <optional>
#include <string>
#include <vector>

namespace dnn::schedule {

/// What accumulates in registers.
enum class Accumulate : uint8_t {
  Columns, ///< vectors along the result's columns: one load of the column operand, one broadcast of the row operand
  Lanes,   ///< vectors along the reduction, summed at the end: both operands are contiguous there (A·Bᵀ)
};

/// Where the column operand is read.
enum class Packing : uint8_t {
  None,  ///< in place
  Panel, ///< one panel of columns is copied before the tiles that use it, by the thread that uses it
  Whole, ///< all panels are copied first
};

/// Which loop over tiles is cut into tasks.
enum class Tasks : uint8_t { None, Columns, Rows };

struct ContractionPlan {
  Accumulate accumulate = Accumulate::Columns;
  int64_t rows = 1;    ///< of the tile
  int64_t columns = 1; ///< of the tile: in vectors where columns are accumulated, else in elements
  Packing packing = Packing::None;
  bool packRows = false;     ///< the row operand is copied first: in panels as high as a tile where it is contiguous
                             ///< along the rows, else with another distance between rows
  bool turned = false;       ///< columns are another dimension than the result's innermost one
  bool columnsInner = false; ///< a row of tiles is finished before the next one starts; else a column of them
  Tasks tasks = Tasks::None;
  double cycles = 0; ///< about how long it takes
};

std::string print(const ContractionPlan& plan);

/// A contraction as the model sees it.
struct ContractionShape {
  const graph::Op* op = nullptr;
  uint32_t row = 0, column = 0; ///< positions in dims
  double rows = 1, columns = 1; ///< extents, at most
  double others = 1;            ///< of the result's other dims together
  double reduction = 1;         ///< of all reduced indices together
  int64_t lanes = 1;            ///< elements of a vector
  int64_t bytes = 4;            ///< of an element
  bool rowsStatic = false, columnsStatic = false;
  bool columnsContiguous = false;   ///< the column operand can be loaded in vectors of columns
  double columnStride = 0;          ///< bytes between the column operand's elements of neighbouring reduced indices
  bool rowsContiguous = false;      ///< the row operand's elements of neighbouring rows lie side by side (Aᵀ·B)
  double rowStride = 0;             ///< then the bytes between those of neighbouring reduced indices
  bool rowsAlongReduction = false;  ///< or its elements of neighbouring reduced indices do (A·B)
  double rowPitch = 0;              ///< then the bytes between those of neighbouring rows
  bool reductionContiguous = false; ///< both operands can be loaded in vectors along the last reduced index
  bool reductionPackable = false;   ///< the same once the column operand is copied
  bool turned = false;              ///< the result is written in strides, because columns are not innermost in it
  bool unmasked = false;            ///< some result has elements of a byte, or gathers in its epilogue
  bool inPlace = false;             ///< the epilogue overwrites inputs
  double overwritten = 0;           ///< how many
  double epilogue = 1;              ///< vector instructions for one vector of the result
};

/// Whether the rows of a tile are written out in its epilogue. If so, what the last tile has beyond the result is never
/// computed: nothing reads those accumulators. In a loop over rows the tile is an array, and computed whole.
inline bool unrollsRows(double epilogue) { return epilogue <= 8; }

/// Whether the last tile of columns may start earlier and write some elements again, with the same values, so that
/// columns that do not fill their tiles need not be copied.
bool canShiftColumns(const ContractionShape& shape, double tileColumns);

/// Whether the first tile of a panel can copy what it reads: one loop over the only reduced index loads whole vectors
/// of columns.
bool copiesWithUse(const ContractionShape& shape, int64_t tileColumns);
/// How many points before their use the lines of the column operand are fetched then.
int64_t pointsAhead(const ContractionShape& shape, const Machine& machine);

/// Whether a row of tiles is finished before the next one starts.
inline bool runsByRows(const ContractionShape& shape, const ContractionPlan& plan) {
  return plan.columnsInner || static_cast<double>(plan.columns * shape.lanes) >= shape.columns;
}
/// Whether the rows of the next row of tiles may be fetched while one is summed: it reads all columns, and these leave
/// the fetched lines in the second cache.
inline bool fetchesRows(const ContractionShape& shape, const Machine& machine, const ContractionPlan& plan) {
  double columns = shape.columns * shape.reduction * static_cast<double>(shape.bytes);
  return runsByRows(shape, plan) && !plan.turned && shape.others == 1 &&
         columns <= static_cast<double>(machine.l2Bytes) / 2;
}

/// Nothing if the kernel is not one contraction whose users all see it at their own point. Turned, columns are what are
/// rows otherwise; nothing if the operand is not contiguous along them.
std::optional<ContractionShape> contractionShape(const Analysis& analysis, const Machine& machine, bool turned = false);

/// The plans for the kernel, the fastest by the model first; none if it is not one contraction.
std::vector<ContractionPlan> contractionPlans(const Analysis& analysis, const Machine& machine);

/// The kernel by one of these plans; nothing if the kernel's outputs do not allow it.
std::optional<Schedule> scheduleContraction(const Analysis& analysis, const Machine& machine,
                                            const ContractionPlan& plan);

} // namespace dnn::schedule
