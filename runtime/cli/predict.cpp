#include "runtime/cli/predict.h"

#include "runtime/cli/predict_files.h"
#include "runtime/data/order.h"
#include "runtime/support/extent.h"

#include <algorithm>
#include <cstring>

namespace dnn::runtime {

namespace {

using plan::Entry;
using plan::Port;

unsigned long long u(uint64_t value) { return value; }

/// Copies what two dense tensors of equally many dimensions have in common; `part` says how much of it.
void copyPart(const uint8_t* from, const std::vector<int64_t>& fromDims, uint8_t* to,
              const std::vector<int64_t>& toDims, const std::vector<int64_t>& part, size_t at, uint64_t width) {
  if (at == part.size()) {
    std::memcpy(to, from, width);
    return;
  }
  auto inner = [&](const std::vector<int64_t>& dims) {
    uint64_t bytes = width;
    for (size_t d = at + 1; d < dims.size(); ++d) {
      bytes *= static_cast<uint64_t>(dims[d]);
    }
    return bytes;
  };
  uint64_t fromStride = inner(fromDims);
  uint64_t toStride = inner(toDims);
  for (int64_t i = 0; i < part[at]; ++i) {
    copyPart(from, fromDims, to, toDims, part, at + 1, width);
    from += fromStride;
    to += toStride;
  }
}

/// Rows of a prediction that run in one call. Where the program is not told how long each row is, these have one
/// length.
uint64_t rowsOfCall(const Entry& entry, const PredictRows& rows, uint64_t first) {
  uint64_t count = std::min(static_cast<uint64_t>(entry.batch), rows.count - first);
  for (size_t k = 0; k < entry.lengths.size(); ++k) {
    bool told =
        std::any_of(entry.inputs.begin(), entry.inputs.end(), [&](const Port& p) { return p.lengthOf == k + 1; });
    for (uint64_t i = 1; !told && i < count; ++i) {
      if (rows.lengths[k][first + i] != rows.lengths[k][first]) {
        count = i;
      }
    }
  }
  return count;
}

/// Writes the rows into the entry's ports, sequences padded with zeros to the longest, and tells the machine their
/// length.
std::vector<int64_t> putRows(Machine& machine, const Entry& entry, const std::vector<Column>& inputs,
                             const PredictRows& rows, uint64_t first, uint64_t count) {
  std::vector<int64_t> lengths;
  for (const std::vector<int64_t>& own : rows.lengths) {
    auto begin = own.begin() + static_cast<int64_t>(first);
    lengths.push_back(*std::max_element(begin, begin + static_cast<int64_t>(count)));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Port& port = entry.inputs[i];
    uint8_t* to = machine.arena(port.offset);
    if (port.varying.empty()) {
      std::memcpy(to, inputs[i].bytes.data() + (port.batched ? first * inputs[i].rowBytes : 0),
                  (port.batched ? count : 1) * inputs[i].rowBytes);
      continue;
    }
    std::vector<int64_t> dims = rowDims(port, static_cast<int64_t>(count), lengths);
    uint64_t bytes = byteCount(port.dtype, dims);
    std::memset(to, 0, count * bytes);
    for (uint64_t row = first; row < first + count; ++row, to += bytes) {
      std::vector<int64_t> own = rowDims(port, static_cast<int64_t>(count), rows.lengthsOf(row));
      copyPart(inputs[i].row(row), own, to, dims, own, 0, static_cast<uint64_t>(plan::byteSize(port.dtype)));
    }
  }
  machine.setLengths(lengths);
  return lengths;
}

/// Adds the results of a call behind those of the calls before. The extents of `all` are those of the longest
/// sequences; behind the end of a row's own there are zeros.
void takeRows(Machine& machine, const Port& port, const PredictRows& rows, uint64_t first, uint64_t count,
              const std::vector<int64_t>& lengths, Column& all) {
  const uint8_t* from = machine.arena(port.offset);
  if (port.varying.empty()) {
    all.bytes.insert(all.bytes.end(), from, from + (port.batched ? count : 1) * all.rowBytes);
    return;
  }
  auto calls = static_cast<int64_t>(count);
  std::vector<int64_t> dims = rowDims(port, calls, lengths);
  uint64_t bytes = byteCount(port.dtype, dims);
  for (uint64_t row = 0; row < (port.batched ? count : 1); ++row, from += bytes) {
    std::vector<int64_t> own = port.batched ? rowDims(port, calls, rows.lengthsOf(first + row)) : dims;
    size_t at = all.bytes.size();
    all.bytes.resize(at + all.rowBytes);
    copyPart(from, dims, all.bytes.data() + at, all.dims, own, 0, static_cast<uint64_t>(plan::byteSize(port.dtype)));
  }
}

Status runBatches(Machine& machine, uint32_t entryIndex, const TrainState& state, const std::vector<Column>& inputs,
                  const PredictRows& predicted, std::vector<Column>& outputs) {
  const Entry& entry = machine.plan().entries[entryIndex];
  uint64_t rows = predicted.count;
  uint64_t batch = entry.batch > 0 ? static_cast<uint64_t>(entry.batch) : 1;
  bool perRow = std::all_of(entry.outputs.begin(), entry.outputs.end(), [](const Port& port) { return port.batched; });
  if (rows > batch && (!entry.rowwise || !perRow)) {
    return failure(ExitCode::BadInput,
                   "predict %s looks at all rows together, at most %llu of them, and the input has %llu; split it or "
                   "raise the batch in the program",
                   entry.name.c_str(), u(batch), u(rows));
  }
  std::vector<int64_t> longest;
  for (const std::vector<int64_t>& own : predicted.lengths) {
    longest.push_back(*std::max_element(own.begin(), own.end()));
  }
  for (const Port& port : entry.outputs) {
    Port sized = port;
    sized.dims = rowDims(port, static_cast<int64_t>(rows), longest);
    sized.varying.clear();
    makeColumn(sized, outputs.emplace_back());
  }
  uint64_t count = 0;
  for (uint64_t first = 0, number = 0; first < std::max<uint64_t>(rows, 1); first += count, ++number) {
    count = entry.batch > 0 ? rowsOfCall(entry, predicted, first) : 1;
    std::vector<int64_t> lengths = putRows(machine, entry, inputs, predicted, first, count);
    if (count < rows && (!perRow || !entry.rowwise)) {
      return failure(ExitCode::BadInput,
                     "predict %s looks at all rows together, and they differ in length; give them one by one",
                     entry.name.c_str());
    }
    Moment moment{batchSeed(state.seed, number), state.step, state.epoch};
    if (Status status = machine.call(entryIndex, static_cast<int64_t>(entry.batch > 0 ? count : 0), moment);
        !status.ok()) {
      return status;
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      takeRows(machine, entry.outputs[i], predicted, first, count, lengths, outputs[i]);
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
  PredictRows rows;
  if (Status status = readInputs(machine, entry, options, inputs, rows); !status.ok()) {
    return status;
  }
  if (Status status = runBatches(machine, index, state, inputs, rows, outputs); !status.ok()) {
    return status;
  }
  return writeOutputs(machine.plan(), entry, options, outputs, rows);
}

} // namespace dnn::runtime
