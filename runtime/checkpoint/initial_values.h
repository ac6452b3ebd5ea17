// `init net from "file.ckpt"`: values taken from a checkpoint by path, as far as there are any.
#pragma once

#include "runtime/cli/options.h"
#include "runtime/machine/machine.h"

namespace dnn::runtime {

/// Fills the persistent tensors below each rule's target with those that the file has at the same place below its
/// source, and prints what matched, what the file lacks and what it has besides. `--init` replaces paths. A tensor of
/// another shape, and a file in which nothing matches, are errors; then nothing is changed.
Status loadInitialValues(Machine& machine, const std::vector<plan::InitRule>& rules, const Options& options);

} // namespace dnn::runtime
