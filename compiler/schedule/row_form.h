// Kernels that can run row by row: all that is computed of a row, from its reductions to what is written of it, while
// the row is in the cache. Softmax with cross-entropy, forward and backward, is one; so are norms.
#pragma once

#include "compiler/graph/graph.h"

#include <optional>
#include <span>
#include <vector>

namespace dnn::schedule {

struct RowForm {
  Dim rows;                             ///< the first dimension of every op in `inRows`
  std::vector<const graph::Op*> inRows; ///< a row of their results depends on nothing but the same row of the others
  std::vector<const graph::Op*> after;  ///< scalars: reductions over the rows, and what is computed from them
};

/// The form of a kernel of these ops and results, if it has it: comps only; rows are reduced along one index at most;
/// at least one row is reduced and one result has columns; large enough that a row's second read would miss the cache.
std::optional<RowForm> rowForm(std::span<graph::Op* const> ops, std::span<graph::Value* const> results,
                               std::span<const Symbol> symbols);

/// Row n of the input is read for row n alone, and while that row is written only at the element that is written: a
/// result of equal dimensions may overwrite it row by row.
bool readsByRows(const RowForm& form, const graph::Value* input);

} // namespace dnn::schedule
