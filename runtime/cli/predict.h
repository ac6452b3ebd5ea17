#pragma once

#include "runtime/cli/options.h"
#include "runtime/train/state.h"

namespace dnn::runtime {

/// `predict NAME`: reads the inputs (.npy by name, CSV otherwise), runs the entry in batches, writes the results
/// atomically. With CSV the columns of an input are those that a csv source of the program names for a field of the
/// same name and shape, if the file has them; else all columns.
Status predict(Machine& machine, const Options& options, const TrainState& state);

} // namespace dnn::runtime
