// Lines of the next row, fetched while this one is computed with.
#pragma once

#include "Halide.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace dnn::codegen {

/// The function that the pass calls, with a buffer and a number of bytes from its start on: fetches that line to be
/// read into the second cache: the rows are larger than the first one, whose lines are needed for what is computed
/// meanwhile. Halide's own fetch is of lines that are used at once and kept in no second cache.
inline constexpr const char* fetchToRead = "dnn_fetch_to_read";

/// A pass over lowered loops. Where a Func of `stages` is computed, each vector that it loads from one of these buffers
/// of rows is preceded by a fetch of the line so many elements later:
///
///                                       fetch x[row + 1, i]
///   e[i] = exp(x[row, i] - m)     →     e[i] = exp(x[row, i] - m)
///
/// What waits for memory (the next row's maximum) then finds its row in the cache, and memory is busy while this stage
/// computes. Past the last row nothing is read: a fetch of an address that does not exist does nothing.
class FetchNextRow : public Halide::Internal::IRMutator {
public:
  /// For a Func its buffers with the number of elements from one row to the next.
  using Stages = std::map<std::string, std::vector<std::pair<std::string, int32_t>>>;
  explicit FetchNextRow(Stages stages) : stages_(std::move(stages)) {}

private:
  using IRMutator::visit;
  Halide::Internal::Stmt visit(const Halide::Internal::ProducerConsumer* op) override;

  Stages stages_;
};

} // namespace dnn::codegen
