// The files of `predict`: inputs from .npy, text, images or CSV, results to .npy, text or CSV.
#pragma once

#include "runtime/cli/options.h"
#include "runtime/data/elements.h"
#include "runtime/machine/machine.h"

namespace dnn::runtime {

/// Every name in `--in` or `--out` (the flag) is one of the ports, and only a single path may have none.
Status checkNames(const char* flag, const std::vector<NamedPath>& paths, const std::vector<plan::Port>& ports);

/// One column for each input of the entry, checked and of equally many rows.
Status readInputs(Machine& machine, const plan::Entry& entry, const Options& options, std::vector<Column>& inputs,
                  uint64_t& rows);

/// Writes each file atomically; without `--out` all results go to standard output as CSV.
Status writeOutputs(const plan::Plan& plan, const plan::Entry& entry, const Options& options,
                    const std::vector<Column>& outputs, uint64_t rows);

} // namespace dnn::runtime
