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
  uint64_t step = 0;           // optimisation steps done
  uint64_t epoch = 0;          // epochs finished
  uint64_t position = 0;       // steps done in the current epoch
  uint64_t rows = 0;           // examples that the step's source has: the data order depends on it
  std::vector<double> logSums; // per log of the step: sum over this epoch's examples
  double logWeight = 0;        // examples in the sums
  Best best;                   // of the checkpoint rule
  Best patience;               // of early stopping
};

} // namespace dnn::runtime
