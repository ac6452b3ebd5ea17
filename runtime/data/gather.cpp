#include "runtime/data/gather.h"

#include "runtime/support/extent.h"

#include <algorithm>
#include <cstring>

namespace dnn::runtime {

using plan::Source;

Status makeFresh(Machine& machine, const Dataset& data, uint64_t number, uint64_t count, uint64_t epoch) {
  const Source& source = *data.fresh;
  const plan::Entry& maker = machine.plan().entries[source.generateEntry];
  if (Status status = machine.call(source.generateEntry, static_cast<int64_t>(count), {source.seed, number, epoch});
      !status.ok()) {
    return status;
  }
  // The entries share their memory, so all results leave it before the first one comes back.
  data.batch.clear();
  for (const plan::Port& port : maker.outputs) {
    const uint8_t* start = machine.arena(port.offset);
    data.batch.insert(data.batch.end(), start, start + count * byteCount(port.dtype, port.dims));
  }
  return success();
}

int64_t lengthOf(const Dataset& data, uint64_t row) {
  int32_t length = 0;
  if (data.lengths) {
    std::memcpy(&length, data.fields[*data.lengths].row(row), sizeof length);
  }
  return length;
}

int64_t longest(const Dataset& data, const uint32_t* order, uint64_t first, uint64_t count) {
  int64_t most = 0;
  for (uint64_t i = first; data.lengths && i < first + count; ++i) {
    most = std::max(most, lengthOf(data, order != nullptr ? order[i] : i));
  }
  return most;
}

void setLength(Machine& machine, const plan::Entry& entry, const Dataset& data, size_t input, int64_t length) {
  if (data.lengths) {
    std::vector<int64_t> lengths = machine.lengths();
    lengths.resize(std::max(lengths.size(), entry.lengths.size()));
    lengths[entry.inputs[input + *data.lengths].lengthOf - 1] = length;
    machine.setLengths(std::move(lengths));
  }
}

namespace {

/// The field's examples behind each other, from memory.
void gatherColumn(const Column& column, const uint32_t* order, uint64_t first, uint64_t count, int64_t length,
                  uint8_t* to) {
  if (order == nullptr && column.placeBytes == 0 && column.stride == column.rowBytes) {
    std::memcpy(to, column.row(first), count * column.rowBytes);
    return;
  }
  uint64_t all = column.bytesFor(length);
  for (uint64_t i = first; i < first + count; ++i) {
    uint64_t row = order != nullptr ? order[i] : i;
    uint64_t bytes = column.bytesOf(row);
    std::memcpy(to, column.row(row), bytes);
    if (bytes < all) {
      std::memset(to + bytes, 0, all - bytes);
    }
    to += all;
  }
}

uint64_t rowInFiles(const Dataset& data, uint64_t row) { return data.taken.empty() ? row : data.taken[row]; }

void prepare(const Dataset& data, RowValues& values) {
  if (values.fields.size() != data.fields.size()) {
    values.fields.clear();
    for (const Column& column : data.fields) {
      Column& own = values.fields.emplace_back();
      own.dtype = column.dtype;
      own.dims = column.dims;
      own.rowBytes = own.stride = column.rowBytes;
      own.placeBytes = column.placeBytes;
      own.lengths = column.lengths;
    }
  }
}

/// The examples' fields that a file has, and what the next batch will want of it.
Status gatherFromFiles(const Dataset& data, const RowFiles& file, const uint32_t* order, uint64_t first, uint64_t count,
                       int64_t length, std::vector<uint8_t*> to) {
  auto rowAt = [&](uint64_t position) { return rowInFiles(data, order != nullptr ? order[position] : position); };
  RowValues values;
  prepare(data, values);
  Status status = file.unchanged();
  for (uint64_t i = first; status.ok() && i < first + count; ++i) {
    status = file.read(rowAt(i), values);
    for (size_t field : file.fields) {
      const std::vector<uint8_t>& bytes = values.fields[field].bytes;
      uint64_t all = data.fields[field].bytesFor(length);
      uint64_t own = std::min<uint64_t>(bytes.size(), all);
      std::memcpy(to[field], bytes.data(), own);
      std::memset(to[field] + own, 0, all - own);
      to[field] += all;
    }
  }
  for (uint64_t i = first + count; i < std::min(first + 2 * count, data.rows); ++i) {
    file.expect(rowAt(i));
  }
  return status;
}

} // namespace

Status readRow(const Dataset& data, uint64_t row, RowValues& values) {
  prepare(data, values);
  for (const std::unique_ptr<RowFiles>& file : data.files) {
    if (Status status = file->read(rowInFiles(data, row), values); !status.ok()) {
      return status;
    }
  }
  return success();
}

const uint8_t* fieldOf(const Dataset& data, size_t field, uint64_t row, const RowValues& values) {
  for (const std::unique_ptr<RowFiles>& file : data.files) {
    if (std::ranges::find(file->fields, field) != file->fields.end()) {
      return values.fields[field].bytes.data();
    }
  }
  return data.fields[field].row(row);
}

Status gatherExamples(const Dataset& data, const uint32_t* order, uint64_t first, uint64_t count, int64_t length,
                      const std::vector<uint8_t*>& to) {
  std::vector<bool> elsewhere(data.files.empty() ? 0 : data.fields.size());
  for (const std::unique_ptr<RowFiles>& file : data.files) {
    if (Status status = gatherFromFiles(data, *file, order, first, count, length, to); !status.ok()) {
      return status;
    }
    for (size_t field : file->fields) {
      elsewhere[field] = true;
    }
  }
  for (size_t i = 0; i < data.fields.size(); ++i) {
    if (data.files.empty() || !elsewhere[i]) {
      gatherColumn(data.fields[i], order, first, count, length, to[i]);
    }
  }
  return success();
}

Status gatherBatch(Machine& machine, const plan::Entry& entry, const Dataset& data, const uint32_t* order,
                   uint64_t first, uint64_t count, BatchPlace place) {
  if (data.fresh != nullptr && !place.made) {
    auto batch = static_cast<uint64_t>(machine.plan().entries[data.fresh->generateEntry].batch);
    uint64_t number = place.epoch * ((data.rows + batch - 1) / batch) + first / batch;
    if (Status status = makeFresh(machine, data, number, count, place.epoch); !status.ok()) {
      return status;
    }
  }
  const uint8_t* made = data.batch.data();
  int64_t length = place.length > 0 ? place.length : longest(data, order, first, count);
  setLength(machine, entry, data, place.input, length);
  std::vector<uint8_t*> places;
  for (size_t i = 0; i < data.fields.size(); ++i) {
    const Column& column = data.fields[i];
    places.push_back(machine.arena(entry.inputs[place.input + i].offset) + place.row * column.bytesFor(length));
    if (data.fresh != nullptr) {
      std::memcpy(places.back(), made, count * column.rowBytes);
      made += count * column.rowBytes;
    }
  }
  return data.fresh != nullptr ? success() : gatherExamples(data, order, first, count, length, places);
}

} // namespace dnn::runtime
