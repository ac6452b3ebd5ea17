// Data that is generated with trained networks is the same after a resume: it is made from the values that they had
// when the phase began.
#pragma once

#include "runtime/data/dataset.h"
#include "runtime/train/state.h"

namespace dnn::runtime {

/// As long as this lives, the persistent tensors are those of the phase's start, if the state keeps them.
class AtPhaseStart {
public:
  AtPhaseStart(Machine& machine, const TrainState& state);
  ~AtPhaseStart();
  AtPhaseStart(const AtPhaseStart&) = delete;

private:
  Machine& machine_;
  std::vector<uint8_t> now_;
};

/// Loads what the evaluations of the state's phase read.
Status loadEvaluated(Machine& machine, DataStore& store, const TrainState& state);

} // namespace dnn::runtime
