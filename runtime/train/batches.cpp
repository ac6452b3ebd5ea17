#include "runtime/train/batches.h"

#include "runtime/data/order.h"

#include <algorithm>
#include <cstring>
#include <system_error>

namespace dnn::runtime {

namespace {

uint64_t divideUp(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

} // namespace

Status Batches::start(const plan::Phase& phase, uint64_t seed) {
  const plan::Plan& plan = machine_.plan();
  seed_ = seed;
  rounds_ = 1;
  ahead_.reset();
  turns_.clear();
  for (const plan::Turn& turn : phase.turns) {
    const plan::Entry& entry = plan.entries[turn.cycle[0]];
    Turn& added = turns_.emplace_back();
    added.batch = static_cast<uint64_t>(entry.batch);
    size_t input = 0;
    for (const std::string& name : entry.sources) {
      Reader& reader = added.readers.emplace_back();
      reader.name = name;
      if (Status status = store_.load(name, reader.data); !status.ok()) {
        return status;
      }
      const plan::Source& source = plan.sources[static_cast<size_t>(machine_.findSource(name))];
      reader.shuffle = source.shuffle;
      reader.bucket = source.bucket;
      reader.batch = static_cast<uint64_t>(source.batch);
      reader.firstInput = input;
      input += reader.data->fields.size();
      added.rows = std::max(added.rows, reader.data->rows);
    }
    if (added.rows > 0) {
      added.steps = divideUp(added.rows, added.batch);
    }
    rounds_ = std::max(rounds_, added.steps);
  }
  for (Turn& turn : turns_) {
    for (Reader& reader : turn.readers) {
      // Passes over the turn's longest source, and over this one in each of them.
      reader.passes = divideUp(rounds_, turn.steps) * divideUp(turn.rows, reader.data->rows);
    }
  }
  readAhead();
  return success();
}

uint64_t Batches::examplesPerEpoch() const {
  uint64_t examples = 0;
  for (uint64_t position = 0; position < turns_.size(); ++position) {
    const Turn& turn = turns_[position];
    if (!turn.readers.empty()) {
      examples += rounds_ / turn.steps * turn.rows + std::min(rounds_ % turn.steps * turn.batch, turn.rows);
    }
  }
  return examples;
}

std::vector<uint64_t> Batches::rows() const {
  std::vector<uint64_t> rows;
  for (const Turn& turn : turns_) {
    for (const Reader& reader : turn.readers) {
      rows.push_back(reader.data->rows);
    }
  }
  return rows;
}

uint64_t Batches::rowsAt(uint64_t position) const {
  const Turn& turn = turns_[position % turns_.size()];
  uint64_t step = position / turns_.size() % turn.steps;
  return turn.readers.empty() ? 0 : std::min(turn.batch, turn.rows - step * turn.batch);
}

std::vector<Batches::Piece> Batches::pieces(const Turn& turn, const Reader& reader, BatchKey key) const {
  auto [epoch, position] = key;
  uint64_t round = position / turns_.size();
  uint64_t first = round % turn.steps * turn.batch;
  uint64_t count = rowsAt(position);
  uint64_t passes = divideUp(turn.rows, reader.data->rows);
  std::vector<Piece> all;
  for (uint64_t done = 0; done < count; done += all.back().count) {
    uint64_t at = first + done;
    uint64_t own = at % reader.data->rows;
    uint64_t number = epoch * reader.passes + round / turn.steps * passes + at / reader.data->rows;
    all.push_back({number, own, std::min(count - done, reader.data->rows - own), done});
  }
  return all;
}

/// Null: the examples as they stand.
const uint32_t* Batches::orderOf(Reader& reader, uint64_t pass) {
  if (!reader.shuffle && !reader.bucket) {
    return nullptr;
  }
  if (!reader.ordered || reader.orderedPass != pass) {
    epochOrder(reader.data->rows, reader.shuffle, seed_, pass, reader.name, reader.order);
    if (reader.bucket) {
      auto length = [&](uint32_t row) { return lengthOf(*reader.data, row); };
      bucketOrder(length, reader.batch, reader.shuffle, seed_, pass, reader.name, reader.order);
    }
    reader.ordered = true;
    reader.orderedPass = pass;
  }
  return reader.order.data();
}

/// Of the sequences that the step reads from this source; 0 if it has none.
int64_t Batches::longestOf(const Turn& turn, Reader& reader, BatchKey key) {
  int64_t most = 0;
  if (reader.data->lengths) {
    for (const Piece& piece : pieces(turn, reader, key)) {
      most = std::max(most, longest(*reader.data, orderOf(reader, piece.pass), piece.first, piece.count));
    }
  }
  return most;
}

/// The lengths of the sequences, one for each source, then the examples of a step, field by field behind each other;
/// fresh ones are not among them.
Status Batches::read(BatchKey key, ReadAhead::Bytes& bytes) {
  Turn& turn = turns_[key.second % turns_.size()];
  uint64_t count = rowsAt(key.second);
  std::vector<int64_t> lengths;
  uint64_t size = 0;
  for (Reader& reader : turn.readers) {
    lengths.push_back(longestOf(turn, reader, key));
    for (size_t i = 0; reader.data->fresh == nullptr && i < reader.data->fields.size(); ++i) {
      size += count * reader.data->fields[i].bytesFor(lengths.back());
    }
  }
  uint64_t head = lengths.size() * sizeof(int64_t);
  bytes.resize(head + size);
  std::memcpy(bytes.data(), lengths.data(), head);
  uint8_t* to = bytes.data() + head;
  for (size_t r = 0; r < turn.readers.size(); ++r) {
    Reader& reader = turn.readers[r];
    if (reader.data->fresh != nullptr) {
      continue;
    }
    for (const Piece& piece : pieces(turn, reader, key)) {
      const uint32_t* order = orderOf(reader, piece.pass);
      std::vector<uint8_t*> places;
      uint8_t* field = to;
      for (const Column& column : reader.data->fields) {
        uint64_t row = column.bytesFor(lengths[r]);
        places.push_back(field + piece.to * row);
        field += count * row;
      }
      Status status = gatherExamples(*reader.data, order, piece.first, piece.count, lengths[r], places);
      if (!status.ok()) {
        return status;
      }
    }
    for (const Column& column : reader.data->fields) {
      to += count * column.bytesFor(lengths[r]);
    }
  }
  return success();
}

/// A thread takes part if it has something to do: a few microseconds pass until it has heard of it.
void Batches::readAhead() {
  constexpr uint64_t worthwhile = 1 << 16; // bytes of a batch
  bool worth = false;
  for (const Turn& turn : turns_) {
    uint64_t bytes = 0;
    for (const Reader& reader : turn.readers) {
      for (size_t i = 0; reader.data->fresh == nullptr && i < reader.data->fields.size(); ++i) {
        bytes += turn.batch * reader.data->fields[i].rowBytes;
      }
      worth = worth || !reader.data->files.empty();
    }
    worth = worth || bytes >= worthwhile;
  }
  if (worth) {
    try {
      ahead_ = std::make_unique<ReadAhead>([this](BatchKey key, ReadAhead::Bytes& bytes) { return read(key, bytes); });
    } catch (const std::system_error&) {
      return; // no thread can be had
    }
  }
}

Status Batches::fill(const plan::Entry& entry, uint64_t epoch, uint64_t position) {
  Turn& turn = turns_[position % turns_.size()];
  uint64_t round = position / turns_.size();
  uint64_t count = rowsAt(position);
  BatchKey key{epoch, position};
  const uint8_t* ready = nullptr;
  if (ahead_) {
    BatchKey next = position + 1 < stepsPerEpoch() ? BatchKey{epoch, position + 1} : BatchKey{epoch + 1, 0};
    if (Status status = ahead_->take(key, next, ready); !status.ok()) {
      return status;
    }
  }
  for (Reader& reader : turn.readers) {
    if (reader.data->fresh != nullptr) {
      if (Status status = makeFresh(machine_, *reader.data, epoch * rounds_ + round, count, epoch); !status.ok()) {
        return status;
      }
    }
  }
  std::vector<int64_t> lengths(turn.readers.size());
  if (ahead_) {
    std::memcpy(lengths.data(), ready, lengths.size() * sizeof(int64_t));
    ready += lengths.size() * sizeof(int64_t);
  }
  for (size_t r = 0; r < turn.readers.size(); ++r) {
    Reader& reader = turn.readers[r];
    if (reader.data->fresh != nullptr) {
      Status status =
          gatherBatch(machine_, entry, *reader.data, nullptr, 0, count, {reader.firstInput, 0, epoch, true});
      if (!status.ok()) {
        return status;
      }
      continue;
    }
    if (ahead_) {
      setLength(machine_, entry, *reader.data, reader.firstInput, lengths[r]);
      for (size_t i = 0; i < reader.data->fields.size(); ++i) {
        uint64_t bytes = count * reader.data->fields[i].bytesFor(lengths[r]);
        std::memcpy(machine_.arena(entry.inputs[reader.firstInput + i].offset), ready, bytes);
        ready += bytes;
      }
      continue;
    }
    BatchPlace place{.input = reader.firstInput, .length = longestOf(turn, reader, key)};
    for (const Piece& piece : pieces(turn, reader, key)) {
      const uint32_t* order = orderOf(reader, piece.pass);
      place.row = piece.to;
      Status status = gatherBatch(machine_, entry, *reader.data, order, piece.first, piece.count, place);
      if (!status.ok()) {
        return status;
      }
    }
  }
  return success();
}

} // namespace dnn::runtime
