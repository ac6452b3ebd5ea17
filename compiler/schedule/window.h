// Sums over windows: an operand is read at a sum of a result's index and a reduced one, as in x[n, 2*i + u - 1, c].
// Convolutions of any rank, stride, dilation and grouping, and their gradients, seen by their structure alone. And what
// is made in the same way: long sums of products for a small result, products whose rows are in several dims.
//
// Every plan gives the right result; they differ in time alone. chooseSchedule takes the one that the model finds
// fastest.
#pragma once

#include "compiler/schedule/analysis.h"
#include "compiler/schedule/machine.h"
#include "compiler/schedule/schedule.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dnn::schedule {

/// A subscript of a window that may lie outside of its operand: how many points of a dim of the result and of a reduced
/// index have a place that exists.
struct WindowTrim {
  uint32_t dim = 0;
  uint32_t reduced = 0; ///< position in Op::reduced
  double pairs = 0;
};

/// A factor of the body as the model sees it.
struct WindowOperand {
  graph::ExprRef part = nullptr;
  graph::ExprRef window = nullptr; ///< the access whose subscripts are sums, or null
  std::vector<bool> uses;          ///< for each index of the domain
  bool halo = false;               ///< tests whether places exist, or is computed: copied for a block at a time
  bool contiguous = false;         ///< neighbouring columns lie side by side
  double elements = 0;             ///< how many there are
  std::vector<WindowTrim> trims;   ///< where places outside are zeros that can be left out of the sum; else empty
};

struct WindowShape {
  const graph::Op* op = nullptr;
  uint32_t column = 0; ///< the result's innermost dimension: runs along vectors
  int64_t lanes = 1;   ///< elements of a vector
  int64_t bytes = 4;   ///< of an element
  bool inPlace = false;
  bool unmasked = false;         ///< some result has elements of a byte, or gathers in its epilogue
  bool blocks = false;           ///< a long sum for few elements: summed in blocks
  double epilogue = 1;           ///< vector instructions for one vector of the result
  std::vector<uint32_t> reduced; ///< positions in Op::reduced, innermost loop first
  std::vector<WindowOperand> operands;
  /// Tiles hold whole groups of so many places along each dim of the result (tile_windows.h); empty: any number.
  std::vector<int64_t> windows;

  bool holdsWindows(const std::vector<std::pair<uint32_t, int64_t>>& rows) const;
};

struct WindowPlan {
  int64_t vectors = 1;                            ///< columns of a tile, in vectors
  std::vector<std::pair<uint32_t, int64_t>> rows; ///< dims of the result and how much of each is in a tile
  std::vector<bool> packed;                       ///< for each operand: copied into panels of columns first
  double cycles = 0;                              ///< about how long it takes on one core
  /// Places outside are not visited, and there is no halo. The tile is as long as the dim of the first, so that it is
  /// known which of its elements each place of the window has; along the others a tile has one element, and loops over
  /// the window end where places do.
  std::vector<WindowTrim> trimmed;
};

std::string print(const WindowPlan& plan);

/// Some operand is read at a sum of an index of the result and a reduced one, or at every second, third, … place.
bool readsWindow(const graph::Op& op);

/// A step of the reduced index reads what the next place along the dim has read: terms written out side by side would
/// keep all of these places in registers.
bool movesWith(const WindowShape& shape, uint32_t dim, uint32_t reduced);

/// Sums without windows: those for which it pays, or all that have one of the forms.
enum class LongSums : uint8_t { Worthwhile, All };

/// Nothing if the kernel is not one sum over windows, or one without them that is made in the same way, whose users all
/// see it at their own point.
std::optional<WindowShape> windowShape(const Analysis& analysis, const Machine& machine,
                                       LongSums longSums = LongSums::Worthwhile);

/// The plans that fit the registers, the fastest by the model first; none where partial vectors of columns would
/// have to be copied with their windows.
std::vector<WindowPlan> windowPlans(const WindowShape& shape, const Analysis& analysis, const Machine& machine);

/// What a halo copies is computed as it is copied, and has no buffer of its own.
void inlineHalos(const WindowShape& shape, const Analysis& analysis, Schedule& schedule);

/// The kernel by this plan; nothing if the kernel's outputs do not allow it.
std::optional<Schedule> scheduleWindow(const Analysis& analysis, const Machine& machine, const WindowShape& shape,
                                       const WindowPlan& plan);

} // namespace dnn::schedule
