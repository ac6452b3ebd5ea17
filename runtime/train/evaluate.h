// One evaluation: all examples of its source, in their order.
#pragma once

#include "runtime/data/dataset.h"
#include "runtime/train/metrics.h"
#include "runtime/train/pictures.h"
#include "runtime/train/state.h"

namespace dnn::runtime {

struct Evaluation {
  std::vector<Metric> metrics;   // averages over the examples, then what `whole` logs; named "ENTRY.LOG"
  std::vector<Picture> pictures; // of the first batch
};

/// Changes neither parameters nor `state`. Returns ExitCode::Interrupted if a stop is requested meanwhile.
Status evaluate(Machine& machine, DataStore& store, uint32_t entryIndex, const TrainState& state, Evaluation& found);

} // namespace dnn::runtime
