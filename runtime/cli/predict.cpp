#include "runtime/cli/predict.h"

#include "runtime/cli/predict_files.h"
#include "runtime/data/order.h"

#include <algorithm>
#include <cstring>

namespace dnn::runtime {

namespace {

using plan::Entry;
using plan::Port;

unsigned long long u(uint64_t value) { return value; }

Status runBatches(Machine& machine, uint32_t entryIndex, const TrainState& state, const std::vector<Column>& inputs,
                  uint64_t rows, std::vector<Column>& outputs) {
  const Entry& entry = machine.plan().entries[entryIndex];
  uint64_t batch = entry.batch > 0 ? static_cast<uint64_t>(entry.batch) : 1;
  bool perRow = std::all_of(entry.outputs.begin(), entry.outputs.end(), [](const Port& port) { return port.batched; });
  if (rows > batch && (!entry.rowwise || !perRow)) {
    return failure(ExitCode::BadInput,
                   "predict %s looks at all rows together, at most %llu of them, and the input has %llu; split it or "
                   "raise the batch in the program",
                   entry.name.c_str(), u(batch), u(rows));
  }
  for (const Port& port : entry.outputs) {
    makeColumn(port, outputs.emplace_back());
  }
  for (uint64_t first = 0, number = 0; first < std::max<uint64_t>(rows, 1); first += batch, ++number) {
    uint64_t count = std::min(batch, rows - first);
    for (size_t i = 0; i < inputs.size(); ++i) {
      bool batched = entry.inputs[i].batched;
      std::memcpy(machine.arena(entry.inputs[i].offset),
                  inputs[i].bytes.data() + (batched ? first * inputs[i].rowBytes : 0),
                  (batched ? count : 1) * inputs[i].rowBytes);
    }
    Moment moment{batchSeed(state.seed, number), state.step, state.epoch};
    if (Status status = machine.call(entryIndex, static_cast<int64_t>(entry.batch > 0 ? count : 0), moment);
        !status.ok()) {
      return status;
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      const uint8_t* start = machine.arena(entry.outputs[i].offset);
      uint64_t size = (entry.outputs[i].batched ? count : 1) * outputs[i].rowBytes;
      outputs[i].bytes.insert(outputs[i].bytes.end(), start, start + size);
    }
  }
  return success();
}

} // namespace

Status predict(Machine& machine, const Options& options, const TrainState& state) {
  auto index = static_cast<uint32_t>(machine.findEntry(Entry::Kind::Predict, options.predictName));
  const Entry& entry = machine.plan().entries[index];
  if (Status status = checkNames("in", options.inputs, entry.inputs); !status.ok()) {
    return status;
  }
  if (Status status = checkNames("out", options.outputs, entry.outputs); !status.ok()) {
    return status;
  }
  std::vector<Column> inputs;
  std::vector<Column> outputs;
  uint64_t rows = 0;
  if (Status status = readInputs(machine, entry, options, inputs, rows); !status.ok()) {
    return status;
  }
  if (Status status = runBatches(machine, index, state, inputs, rows, outputs); !status.ok()) {
    return status;
  }
  return writeOutputs(machine.plan(), entry, options, outputs, rows);
}

} // namespace dnn::runtime
