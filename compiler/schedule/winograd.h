// Sums over windows of 3 × 3 with fewer products: a block of m × m neighbouring results is made of (m + 2)² products
// of transformed elements instead of 9·m² (Winograd). m = 4 takes a quarter of the products of the direct sum, m = 2
// four ninths. The form is seen by structure alone: two windows of three places, neighbours side by side, and a factor
// that does not depend on the place.
//
// Rounding differs, and the more so the larger the blocks are (winogradError), so the model offers none that would pass
// mostWinogradError.
#pragma once

#include "compiler/schedule/window.h"
#include "compiler/support/integers.h"

#include <array>

namespace dnn::schedule {

struct WinogradShape {
  std::array<uint32_t, 2> dims{}; ///< of the result: those that the windows slide along, outer first
  std::array<uint32_t, 2> taps{}; ///< positions in Op::reduced: the places within the window
  uint32_t channel = 0;           ///< position in Op::reduced: what is summed besides
  size_t data = 0, weights = 0;   ///< of WindowShape::operands
  /// The window at place 0 reads from `first` on; backwards: the place grows as the subscript falls.
  std::array<int64_t, 2> first{};
  std::array<bool, 2> backwards{};
  std::array<size_t, 2> subscripts{}; ///< of the window's access: those of the two dims
  size_t channelSubscript = 0;
};

struct WinogradPlan {
  int64_t outputs = 4;           ///< m
  int64_t vectors = 1;           ///< columns of a register tile, in vectors
  std::array<int64_t, 2> rows{}; ///< blocks of results in a register tile along the two dims
  int64_t blockRows = 1,
          items = 1; ///< rows of them, and points of the next dim outside, that go through the cache together
  double cycles = 0; ///< about how long it takes on one core
};

std::string print(const WinogradPlan& plan);

/// About the largest error of a result by the largest result, data and weights uniform in (-1, 1). Measured with
/// compiled kernels of 8 to 512 channels for blocks of 4 × 4, and with the formulas for those of 2 × 2. Direct
/// sums: 1.2e-7 · √c.
double winogradError(int64_t outputs, int64_t channels);
/// What blocks of 4 × 4 have with 625 channels.
inline constexpr double mostWinogradError = 2e-5;

/// Nothing if the sum has another form, or elements of another type than f32.
std::optional<WinogradShape> winogradShape(const WindowShape& window, const Analysis& analysis);

/// The fastest by the model first, of those that are exact enough.
std::vector<WinogradPlan> winogradPlans(const WindowShape& window, const WinogradShape& shape, const Analysis& analysis,
                                        const Machine& machine);

std::optional<Schedule> scheduleWinograd(const Analysis& analysis, const Machine& machine, const WindowShape& window,
                                         const WinogradShape& shape, const WinogradPlan& plan);

/// The gradient of the weights of such a sum: Σ data[…, i + u + first, …, c] · factor[…, i, …, o], for three u along
/// each of two dims. The same transforms with the roles changed: 36 products for blocks of 4 × 4 places instead of 144.
/// The largest error by the largest result is 3e-6 to 4e-6, measured as above with 8192 to 131072 terms: it does not
/// grow with their number.
struct WinogradSumsPlan {
  size_t data = 0;                ///< of WindowShape::operands
  std::array<int64_t, 2> first{}; ///< where the place 0 at distance 0 reads
  std::array<size_t, 2> subscripts{};
  size_t channelSubscript = 0;
  int64_t vectors = 1, channels = 1; ///< of a register tile
  int64_t rows = 1, items = 1;       ///< rows of blocks and items that go through the cache together
  double cycles = 0;
};

std::string print(const WinogradSumsPlan& plan);

/// The fastest by the model first; none if the sum has another form, or elements of another type than f32.
std::vector<WinogradSumsPlan> winogradSumsPlans(const WindowShape& window, const Analysis& analysis,
                                                const Machine& machine);

std::optional<Schedule> scheduleWinogradSums(const Analysis& analysis, const Machine& machine,
                                             const WindowShape& window, const WinogradSumsPlan& plan);

// What the two forms share.

/// Cycles for an element of a transform, its loads, sums and store, in each of its two passes.
inline constexpr double transformStep = 2.2;
/// Places of a block along each dim, in sums for weights.
inline constexpr int64_t sumsStep = 4;
/// Bytes of the sums of all pieces together, at most.
inline constexpr double mostSumsBytes = 20 << 20;

/// Registers besides the accumulators: the vectors stay for all rows of a tile, and one row's element.
inline int64_t winogradHeld(int64_t vectors) { return vectors + 1; }

/// Cycles for one term of a register tile of so many vectors by so many rows, on a core that begins so many
/// multiply-adds of vectors in a cycle.
double winogradTermCycles(int64_t vectors, int64_t rows, double vectorsPerCycle);

/// Cycles to read, or write, what does not stay in the second cache, line after line.
double winogradFarLines(double bytes, const Machine& machine);

/// The data of a block with its border, channels rounded up to `channels` and in vectors. Where it is computed, and how
/// many places along the window's dims, is left to say. Rows of images run along `rowSubscript`.
Halo winogradHalo(const WindowOperand& data, size_t rowSubscript, size_t channelSubscript, int64_t channels,
                  int64_t lanes);

/// One pass of a transform: vectors along one loop, the products of a block side by side. `order` begins with the lane.
Nest winogradPass(const std::string& along, const std::string& products, std::vector<std::string> order, int64_t lanes);

} // namespace dnn::schedule
