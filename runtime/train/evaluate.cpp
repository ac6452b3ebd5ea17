#include "runtime/train/evaluate.h"

#include "runtime/data/gather.h"
#include "runtime/data/order.h"
#include "runtime/support/text.h"
#include "runtime/train/interrupt.h"

#include <algorithm>
#include <cstring>

namespace dnn::runtime {

namespace {

using plan::Entry;

/// The values of all examples so far, of each port that a `whole` block wants.
class Collector {
public:
  explicit Collector(const Entry& entry) : entry_(entry), columns_(entry.collected.size()) {
    for (size_t i = 0; i < columns_.size(); ++i) {
      makeColumn(entry.collected[i], columns_[i]);
    }
  }

  void add(Machine& machine, uint64_t rows) {
    for (size_t i = 0; i < columns_.size(); ++i) {
      const uint8_t* start = machine.arena(entry_.collected[i].offset);
      columns_[i].bytes.insert(columns_[i].bytes.end(), start, start + rows * columns_[i].rowBytes);
    }
  }

  Status run(Machine& machine, uint32_t number, uint64_t rows, const Moment& moment, Evaluation& found) {
    const Entry& whole = machine.plan().entries[number];
    if (rows > static_cast<uint64_t>(whole.batch)) {
      return failure(ExitCode::BadInput,
                     "`%s` has %llu examples, and its `whole` block was compiled for the %lld that the data had then; "
                     "compile again",
                     whole.name.c_str(), static_cast<unsigned long long>(rows), static_cast<long long>(whole.batch));
    }
    for (size_t i = 0; i < columns_.size(); ++i) {
      std::memcpy(machine.arena(whole.inputs[i].offset), columns_[i].bytes.data(), rows * columns_[i].rowBytes);
    }
    if (Status status = machine.call(number, static_cast<int64_t>(rows), moment); !status.ok()) {
      return status;
    }
    std::vector<double> sums(loggedNumbers(whole));
    std::vector<double> weights(whole.outputs.size());
    addOutputs(machine, whole, rows, sums.data(), weights.data());
    for (Metric& metric : averages(whole, whole.name + ".", sums.data(), weights.data())) {
      found.metrics.push_back(std::move(metric));
    }
    takePictures(machine, whole, whole.name + ".", found.pictures);
    return success();
  }

private:
  const Entry& entry_;
  std::vector<Column> columns_;
};

} // namespace

Status evaluate(Machine& machine, DataStore& store, uint32_t entryIndex, const TrainState& state, Evaluation& found) {
  const Entry& entry = machine.plan().entries[entryIndex];
  const Dataset* data = nullptr;
  uint64_t rows = 1;
  uint64_t batch = 1;
  std::vector<uint32_t> order; // empty: as they stand
  if (!entry.sources.empty()) {
    if (Status status = store.load(entry.sources[0], data); !status.ok()) {
      return status;
    }
    rows = data->rows;
    batch = static_cast<uint64_t>(entry.batch);
    const plan::Source& source = machine.plan().sources[static_cast<size_t>(machine.findSource(entry.sources[0]))];
    if (source.bucket) {
      epochOrder(rows, false, 0, 0, source.name, order);
      bucketOrder([&](uint32_t row) { return lengthOf(*data, row); }, batch, false, 0, 0, source.name, order);
    }
  }
  std::vector<double> sums(loggedNumbers(entry));
  std::vector<double> weights(entry.outputs.size());
  Collector collector(entry);
  for (uint64_t first = 0, number = 0; first < rows; first += batch, ++number) {
    uint64_t count = std::min(batch, rows - first);
    if (data != nullptr) {
      if (Status status = gatherBatch(machine, entry, *data, order.empty() ? nullptr : order.data(), first, count);
          !status.ok()) {
        return status;
      }
    }
    Moment moment{batchSeed(state.seed, number), state.step, state.epoch};
    if (Status status = machine.call(entryIndex, data != nullptr ? static_cast<int64_t>(count) : 0, moment);
        !status.ok()) {
      return status;
    }
    addOutputs(machine, entry, data != nullptr ? count : 0, sums.data(), weights.data());
    if (first == 0) {
      takePictures(machine, entry, entry.name + ".", found.pictures);
    }
    collector.add(machine, count);
    if (InterruptGuard::requested()) {
      return {ExitCode::Interrupted, ""};
    }
  }
  for (Metric& metric : averages(entry, entry.name + ".", sums.data(), weights.data())) {
    found.metrics.push_back(std::move(metric));
  }
  if (entry.collected.empty()) {
    return success();
  }
  return collector.run(machine, entryIndex + 1, rows, {state.seed, state.step, state.epoch}, found);
}

} // namespace dnn::runtime
