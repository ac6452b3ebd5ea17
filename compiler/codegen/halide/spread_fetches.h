// Fetches of lines, a few at a time in the loops of a sum.
#pragma once

#include "compiler/codegen/halide/fetch_for_tile.h"

#include <cstdint>
#include <vector>

namespace dnn::codegen {

inline constexpr int64_t bytesOfLine = 64;

/// Lines of a buffer that belong to what a tile writes: to each of `count` steps, `distance` elements of the output
/// apart, so many lines from its places in the buffer on.
struct FetchRun {
  const char* how = nullptr;   ///< the function that is called (fetch_for_tile.h)
  FetchedForTile::Read read;   ///< where the lines lie
  int64_t lines = 1;           ///< at each place
  Halide::Expr first;          ///< element of the output, of the first step
  int64_t distance = 0;        ///< elements of the output
  int64_t count = 1;           ///< steps
  std::vector<int64_t> within; ///< places of a step: elements of the output from its first one
};

/// Appends the fetches of a run for one element of the output.
void appendFetches(const FetchRun& run, const Halide::Expr& element, std::vector<Halide::Internal::Stmt>& stmts);

/// The sum with the fetches of all runs in its loops, before some of its multiply-adds each. A core waits for some
/// twenty lines at a time; more at once would hold up what comes behind them.
///
///                                 for r0 < 3
///   for r0 < 3                      for r1 < 3
///     for r1 < 3              →       fetch lines 2·(3·r0 + r1) and 2·(3·r0 + r1) + 1
///       for r2 < 16                   for r2 < 16
///         tile += …                     tile += …
///
/// Where iterations are more than steps divide, lines behind the last step are fetched too.
Halide::Internal::Stmt spreadFetches(const std::vector<FetchRun>& runs, const Halide::Internal::Stmt& sum);

} // namespace dnn::codegen
