#include "runtime/train/phase_data.h"

#include <algorithm>

namespace dnn::runtime {

AtPhaseStart::AtPhaseStart(Machine& machine, const TrainState& state) : machine_(machine) {
  if (!state.startTensors.empty()) {
    now_.assign(machine.persistents(), machine.persistents() + machine.plan().persistentBytes);
    std::copy(state.startTensors.begin(), state.startTensors.end(), machine.persistents());
  }
}

AtPhaseStart::~AtPhaseStart() { std::copy(now_.begin(), now_.end(), machine_.persistents()); }

Status loadEvaluated(Machine& machine, DataStore& store, const TrainState& state) {
  AtPhaseStart start(machine, state);
  const plan::Plan& plan = machine.plan();
  for (uint32_t eval : plan.phases[state.phase].evals) {
    for (const std::string& source : plan.entries[eval].sources) {
      const Dataset* unused = nullptr;
      if (Status status = store.load(source, unused); !status.ok()) {
        return status;
      }
    }
  }
  return success();
}

} // namespace dnn::runtime
