#include "runtime/train/batches.h"

#include "runtime/data/order.h"

#include <algorithm>
#include <cstring>

namespace dnn::runtime {

namespace {

uint64_t divideUp(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

} // namespace

Status Batches::start(const plan::Phase& phase, uint64_t seed) {
  const plan::Plan& plan = machine_.plan();
  seed_ = seed;
  rounds_ = 1;
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
      reader.shuffle = plan.sources[static_cast<size_t>(machine_.findSource(name))].shuffle;
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

Status Batches::fill(const plan::Entry& entry, uint64_t epoch, uint64_t position) {
  Turn& turn = turns_[position % turns_.size()];
  uint64_t round = position / turns_.size();
  uint64_t pass = round / turn.steps;
  uint64_t first = round % turn.steps * turn.batch;
  uint64_t count = rowsAt(position);
  for (Reader& reader : turn.readers) {
    if (reader.data->fresh != nullptr) {
      if (Status status = makeFresh(machine_, *reader.data, epoch * rounds_ + round, count, epoch); !status.ok()) {
        return status;
      }
    }
  }
  for (Reader& reader : turn.readers) {
    if (reader.data->fresh != nullptr) {
      Status status = gatherBatch(machine_, entry, *reader.data, nullptr, 0, count, {reader.firstInput, 0, epoch, true});
      if (!status.ok()) {
        return status;
      }
      continue;
    }
    uint64_t passes = divideUp(turn.rows, reader.data->rows);
    for (uint64_t done = 0; done < count;) {
      uint64_t at = first + done;
      uint64_t own = at % reader.data->rows;
      uint64_t part = std::min(count - done, reader.data->rows - own);
      uint64_t number = epoch * reader.passes + pass * passes + at / reader.data->rows;
      if (Status status = copy(entry, reader, number, own, part, done); !status.ok()) {
        return status;
      }
      done += part;
    }
  }
  return success();
}

Status Batches::copy(const plan::Entry& entry, Reader& reader, uint64_t pass, uint64_t first, uint64_t count,
                     uint64_t to) {
  if (reader.shuffle && (!reader.ordered || reader.orderedPass != pass)) {
    epochOrder(reader.data->rows, true, seed_, pass, reader.name, reader.order);
    reader.ordered = true;
    reader.orderedPass = pass;
  }
  return gatherBatch(machine_, entry, *reader.data, reader.shuffle ? reader.order.data() : nullptr, first, count,
                     {reader.firstInput, to});
}

} // namespace dnn::runtime
