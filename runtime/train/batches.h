// Which examples a step reads: a function of seed, epoch and position alone.
//
// An epoch is a number of rounds; in each round every step statement of the phase has a turn. The longest source
// decides how many rounds there are. A shorter one starts again when it is through, shuffled anew, within the epoch.
//
// Where that is worth a thread, the examples of the next step are put together (shuffled, read from their files) while
// the present one is computed.
#pragma once

#include "runtime/data/gather.h"
#include "runtime/train/read_ahead.h"

namespace dnn::runtime {

class Batches {
public:
  Batches(Machine& machine, DataStore& store) : machine_(machine), store_(store) {}

  /// Loads what the steps of the phase read.
  Status start(const plan::Phase& phase, uint64_t seed);

  uint64_t turns() const { return turns_.size(); }
  uint64_t stepsPerEpoch() const { return rounds_ * turns_.size(); }
  /// Examples that the step statements read in an epoch, from their longest sources; 0 if none reads any.
  uint64_t examplesPerEpoch() const;
  /// Examples of each source that is read, in the order of the turns.
  std::vector<uint64_t> rows() const;

  /// Examples of the step at this position of an epoch; 0 if it reads none.
  uint64_t rowsAt(uint64_t position) const;
  /// Copies them into the input ports of `entry`, one of the step's. `epoch` counts from the start of training.
  Status fill(const plan::Entry& entry, uint64_t epoch, uint64_t position);

private:
  /// A source as one step reads it.
  struct Reader {
    std::string name;
    const Dataset* data = nullptr;
    bool shuffle = false;
    bool bucket = false;
    uint64_t batch = 0; // the source's own
    size_t firstInput = 0;
    uint64_t passes = 1; // that an epoch begins
    std::vector<uint32_t> order;
    uint64_t orderedPass = 0;
    bool ordered = false;
  };
  struct Turn {
    uint64_t batch = 0;
    std::vector<Reader> readers; // none: no data
    uint64_t rows = 0;           // of the longest
    uint64_t steps = 1;          // in one pass over the longest
  };

  /// Consecutive examples of one pass over a reader's source.
  struct Piece {
    uint64_t pass = 0;
    uint64_t first = 0;
    uint64_t count = 0;
    uint64_t to = 0; // behind how many examples of the batch
  };
  std::vector<Piece> pieces(const Turn& turn, const Reader& reader, BatchKey key) const;
  const uint32_t* orderOf(Reader& reader, uint64_t pass);
  int64_t longestOf(const Turn& turn, Reader& reader, BatchKey key);
  Status read(BatchKey key, ReadAhead::Bytes& bytes);
  void readAhead();

  Machine& machine_;
  DataStore& store_;
  uint64_t seed_ = 0;
  uint64_t rounds_ = 1;
  std::vector<Turn> turns_;
  std::unique_ptr<ReadAhead> ahead_; // last, as it reads what stands above
};

} // namespace dnn::runtime
