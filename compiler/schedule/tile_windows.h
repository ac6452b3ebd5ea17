// Reductions over small windows, side by side, of what a contraction and its epilogue make: r[n, i, c] over
// y[n, 2*i + u, c]. Max-pooling, the positions of its maxima, average pooling, seen by their structure alone.
#pragma once

#include "compiler/schedule/analysis.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace dnn::schedule {

/// For each dim of v, how many of its places one element of the op's result has to itself: 1 where the op has the dim
/// as it is. Nothing if the op is not a reduction of v alone over windows that do not overlap and lie within v, of nine
/// places or less (four where the result is a position).
std::optional<std::vector<int64_t>> tileWindows(const graph::Op& op, const graph::Value* v);

} // namespace dnn::schedule
