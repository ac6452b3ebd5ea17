// One evaluation: all examples of its source, in their order.
#pragma once

#include "runtime/data/dataset.h"
#include "runtime/train/metrics.h"
#include "runtime/train/state.h"

namespace dnn::runtime {

/// Appends the averages over the examples as "ENTRY.LOG". Changes neither parameters nor `state`. Returns
/// ExitCode::Interrupted, and appends nothing, if a stop is requested meanwhile.
Status evaluate(Machine& machine, DataStore& store, uint32_t entryIndex, const TrainState& state,
                std::vector<Metric>& metrics);

} // namespace dnn::runtime
