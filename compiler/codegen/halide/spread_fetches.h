// Fetches of lines, a few at a time in the loops of a sum.
#pragma once

#include "Halide.h"

#include <cstdint>
#include <string>
#include <vector>

namespace dnn::codegen {

inline constexpr int64_t bytesOfLine = 64;

/// Lines of a buffer: those with certain places in each of `count` steps.
struct FetchRun {
  const char* how = nullptr;       ///< the function that is called (fetch_for_tile.h)
  std::string buffer;              ///< that they are fetched of
  Halide::Expr first;              ///< bytes from the start of the buffer to the first step, int64
  int64_t distance = 0, count = 1; ///< bytes from one step to the next; steps
  std::vector<int64_t> within{0};  ///< bytes from the start of a step to each line
};

/// Appends the fetches of one step, `number` steps behind the first one.
void appendFetches(const FetchRun& run, const Halide::Expr& number, std::vector<Halide::Internal::Stmt>& stmts);

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
