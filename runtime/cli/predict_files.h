// The files of `predict`: inputs from .npy, text, images or CSV, results to .npy, text or CSV.
#pragma once

#include "runtime/cli/options.h"
#include "runtime/data/elements.h"
#include "runtime/machine/machine.h"

namespace dnn::runtime {

/// Every name in `--in` or `--out` (the flag) is one of the ports, and only a single path may have none.
Status checkNames(const char* flag, const std::vector<NamedPath>& paths, const std::vector<plan::Port>& ports);

/// The rows of a prediction, and of each of the entry's lengths how long the sequences of each row are.
struct PredictRows {
  uint64_t count = 0;
  std::vector<std::vector<int64_t>> lengths; // by length, then by row

  std::vector<int64_t> lengthsOf(uint64_t row) const {
    std::vector<int64_t> all;
    for (const std::vector<int64_t>& rows : lengths) {
      all.push_back(rows.at(row));
    }
    return all;
  }
};

/// One column for each input of the entry, checked and of equally many rows; those with sequences have rows of their
/// own lengths. An input that is the length of sequences may be without a file: it is what the others have.
Status readInputs(Machine& machine, const plan::Entry& entry, const Options& options, std::vector<Column>& inputs,
                  PredictRows& rows);

/// Writes each file atomically; without `--out` all results go to standard output as CSV. The columns have the extents
/// that the longest sequences need; texts are cut to those of their rows.
Status writeOutputs(const plan::Plan& plan, const plan::Entry& entry, const Options& options,
                    const std::vector<Column>& outputs, const PredictRows& rows);

} // namespace dnn::runtime
