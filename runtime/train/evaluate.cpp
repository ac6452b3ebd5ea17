#include "runtime/train/evaluate.h"

#include "runtime/data/order.h"
#include "runtime/train/interrupt.h"

#include <algorithm>

namespace dnn::runtime {

Status evaluate(Machine& machine, DataStore& store, uint32_t entryIndex, const TrainState& state,
                std::vector<Metric>& metrics) {
  const plan::Entry& entry = machine.plan().entries[entryIndex];
  const Dataset* data = nullptr;
  uint64_t rows = 1;
  uint64_t batch = 1;
  if (!entry.source.empty()) {
    if (Status status = store.load(entry.source, data); !status.ok()) {
      return status;
    }
    rows = data->rows;
    batch = static_cast<uint64_t>(entry.batch);
  }
  std::vector<double> sums;
  double weight = 0;
  for (uint64_t first = 0, number = 0; first < rows; first += batch, ++number) {
    uint64_t count = std::min(batch, rows - first);
    if (data != nullptr) {
      if (Status status = gatherBatch(machine, entry, *data, nullptr, first, count); !status.ok()) {
        return status;
      }
    }
    Moment moment{batchSeed(state.seed, number), state.step, state.epoch};
    if (Status status = machine.call(entryIndex, data != nullptr ? static_cast<int64_t>(count) : 0, moment);
        !status.ok()) {
      return status;
    }
    addOutputs(machine, entry, data != nullptr ? count : 0, sums, weight);
    if (InterruptGuard::requested()) {
      return {ExitCode::Interrupted, ""};
    }
  }
  for (Metric& metric : averages(entry, entry.name + ".", sums, weight)) {
    metrics.push_back(std::move(metric));
  }
  return success();
}

} // namespace dnn::runtime
