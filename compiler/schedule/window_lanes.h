// Sums over windows whose columns fill few lanes of a vector: vectors run along another dim of the result, one that no
// window slides along and that only the data depends on (the images of a batch). The data is turned while a block of it
// is copied, the result while it is written, so that nothing outside of the kernel is different.
#pragma once

#include "compiler/schedule/window.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dnn::schedule {

struct WindowLanesPlan {
  uint32_t dim = 0;                               ///< of the result: runs along vectors
  int64_t lanes = 1;                              ///< elements of a vector
  size_t data = 0;                                ///< the operand that depends on it
  int64_t columns = 1;                            ///< of a tile; they divide those of the result
  std::vector<std::pair<uint32_t, int64_t>> rows; ///< dims and how much of each is in a tile, which divides it
  bool holdsData = false;                         ///< registers hold the data of a tile's places, not its weights
  uint32_t blockDim = 0;                          ///< the outermost dim that windows slide along
  int64_t blockRows = 1;                          ///< of it, whole tiles: what one copy of the data is made for
  bool tasksAreGroups = true;                     ///< of as many images as a vector has lanes; else blocks
  std::vector<WindowTrim> trimmed;                ///< as in WindowPlan; the copy has no border then
  double cycles = 0;                              ///< about how long it takes on one core
};

std::string print(const WindowLanesPlan& plan);

/// The first value and the number of values of a subscript of the data for one block; the first value is meant where it
/// is the same in every block.
struct LanesSpan {
  int64_t from = 0, count = 1;
  bool fixed = false;
};
LanesSpan spanOf(const WindowShape& shape, const Analysis& analysis, const WindowLanesPlan& plan,
                 graph::ExprRef subscript);

/// The plans that fit the registers and the second cache, the fastest by the model first; none for kernels of another
/// form, and where the columns fill a vector.
std::vector<WindowLanesPlan> windowLanesPlans(const WindowShape& shape, const Analysis& analysis,
                                              const Machine& machine);

/// The kernel by this plan; nothing if the kernel's outputs do not allow it.
std::optional<Schedule> scheduleWindowLanes(const Analysis& analysis, const Machine& machine, const WindowShape& shape,
                                            const WindowLanesPlan& plan);

} // namespace dnn::schedule
