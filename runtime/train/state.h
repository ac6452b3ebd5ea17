// Where a training run stands: everything besides the tensors that a checkpoint holds, and nothing that depends on the
// clock or the machine.
#pragma once

#include <cstdint>
#include <vector>

namespace dnn::runtime {

/// The best value of a metric so far.
struct Best {
  bool found = false;
  double value = 0;
  uint64_t epoch = 0; // epochs finished when it was seen
};

struct TrainState {
  uint64_t seed = 0;
  uint64_t step = 0;              // optimisation steps done, in all phases
  uint64_t noted = 0;             // the step after which last was done what is done every so many steps
  uint32_t phase = 0;             // the one that runs, or the last one
  bool ended = false;             // the last phase is over; only if that makes a difference, see `bestTensors`
  uint64_t phaseStep = 0;         // steps done before the phase began
  uint64_t phaseEpoch = 0;        // epochs finished before the phase began
  uint64_t epoch = 0;             // epochs of the phase that are finished
  uint64_t position = 0;          // steps done in the current epoch
  std::vector<uint64_t> rows;     // examples of each source that the phase's steps read: the order depends on them
  std::vector<double> logSums;    // per number that a step logs: sum over the examples since it was last told
  std::vector<double> logWeights; // per log: examples in its sums
  Best best;                      // of the checkpoint rule, by epochs of all phases
  Best patience;                  // of early stopping, by epochs of the phase
  Best plateau;                   // since when the metric has not improved, by epochs of the phase
  /// Copies of all persistent tensors where the plan puts them; empty: none.
  std::vector<uint8_t> bestTensors;  // of the phase's best epoch; the result of training once it has ended
  std::vector<uint8_t> startTensors; // of the phase's start, which the phase's generated data was made from
};

} // namespace dnn::runtime
