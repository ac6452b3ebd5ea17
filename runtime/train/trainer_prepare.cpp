// What happens before the first step: totals and paths, data, initialisation or the checkpoint.
#include "runtime/train/trainer.h"

#include "runtime/checkpoint/checkpoint.h"
#include "runtime/checkpoint/initial_values.h"
#include "runtime/data/statistics.h"
#include "runtime/support/file.h"
#include "runtime/train/phase_data.h"

#include <algorithm>
#include <set>

namespace dnn::runtime {

using plan::Entry;

namespace {

unsigned long long u(uint64_t value) { return value; }

} // namespace

Status Trainer::checkMetricNames() const {
  for (const plan::Phase& phase : plan_.phases) {
    auto exists = [&](const std::string& name) {
      auto logs = [&](uint32_t number, const std::string& prefix) {
        const std::vector<plan::Port>& ports = plan_.entries[number].outputs;
        return std::any_of(ports.begin(), ports.end(), [&](const plan::Port& p) { return prefix + p.name == name; });
      };
      bool found = name.empty();
      for (const plan::Turn& turn : phase.turns) {
        found = found || logs(turn.cycle[0], "");
      }
      for (uint32_t eval : phase.evals) {
        std::string prefix = plan_.entries[eval].name + ".";
        found = found || logs(eval, prefix) || (!plan_.entries[eval].collected.empty() && logs(eval + 1, prefix));
      }
      return found;
    };
    for (const std::string& name : {phase.patience.metric, phase.plateau.metric, plan_.checkpoint.best}) {
      // The metric of the checkpoint rule may be one that other phases have.
      if (!exists(name) && (!severalPhases() || name != plan_.checkpoint.best)) {
        return failure(ExitCode::Internal, "the plan refers to metric `%s`, which nothing logs", name.c_str());
      }
    }
  }
  return success();
}

Status Trainer::checkOptions() {
  bool trains = std::any_of(plan_.phases.begin(), plan_.phases.end(), [](auto& phase) { return !phase.turns.empty(); });
  if (!trains) {
    return failure(ExitCode::Usage, "this program has no training step; see --help for its commands");
  }
  if (severalPhases() && options_.epochs) {
    return failure(ExitCode::Usage,
                   "--epochs: this program has phases, each with its own; --steps N stops after N steps");
  }
  if (severalPhases()) {
    stepLimit_ = options_.steps.value_or(UINT64_MAX);
  }
  if (!options_.checkpoint.empty()) {
    checkpoint_ = plan::variantPath(plan_, options_.checkpoint);
  } else if (!plan_.checkpoint.path.empty()) {
    checkpoint_ = plan::variantPath(plan_, resolvePath(plan_.directory, plan_.checkpoint.path));
  }
  if (options_.resume && checkpoint_.empty()) {
    return failure(ExitCode::Usage, "--resume needs --checkpoint PATH: this program has no checkpoint rule");
  }
  if (options_.resume && !options_.inits.empty()) {
    return failure(ExitCode::Usage, "--init: a resumed run has its values; leave --init out");
  }
  // Found out now, not after an hour of training.
  if (!checkpoint_.empty()) {
    if (Status status = checkWritable(checkpoint_); !status.ok()) {
      status.message += options_.checkpoint.empty() ? "; another place can be given with --checkpoint PATH" : "";
      return status;
    }
  }
  for (const plan::PartRule& rule : plan_.parts) {
    if (Status status = checkWritable(partPath(rule)); !status.ok()) {
      return status;
    }
  }
  return success();
}

Status Trainer::prepare() {
  if (Status status = checkMetricNames(); !status.ok()) {
    return status;
  }
  if (Status status = checkOptions(); !status.ok()) {
    return status;
  }
  return options_.resume ? resume() : initialize();
}

Status Trainer::initialize() {
  state_ = {};
  state_.seed = options_.seed.value_or(plan_.seed);
  if (int init = machine_.findEntry(Entry::Kind::Init); init >= 0) {
    if (Status status = machine_.call(static_cast<uint32_t>(init), 0, {state_.seed, 0, 0}); !status.ok()) {
      return status;
    }
  }
  if (Status status = fillStatistics(machine_, store_); !status.ok()) {
    return status;
  }
  return beginPhase();
}

Status Trainer::beginPhase() {
  if (Status status = loadInitialValues(machine_, phase().inits, options_); !status.ok()) {
    return status;
  }
  const uint8_t* now = machine_.persistents();
  state_.startTensors.assign(now, now + (phase().keepStart ? plan_.persistentBytes : 0));
  if (Status status = loadPhase(); !status.ok()) {
    return status;
  }
  state_.rows = batches_.rows();
  uint64_t numbers = 0;
  uint64_t logs = 0;
  countLogs(numbers, logs);
  state_.logSums.assign(numbers, 0.0);
  state_.logWeights.assign(logs, 0.0);
  return success();
}

void Trainer::countLogs(uint64_t& numbers, uint64_t& logs) const {
  for (const plan::Turn& turn : phase().turns) {
    const plan::Entry& entry = plan_.entries[turn.cycle[0]];
    numbers += loggedNumbers(entry);
    logs += entry.outputs.size();
  }
}

Status Trainer::loadPhase() {
  bool overrides = !severalPhases();
  wantedEpochs_ = options_.epochs && overrides ? *options_.epochs : options_.steps && overrides ? 0 : phase().epochs;
  wantedSteps_ = options_.steps && overrides ? *options_.steps : options_.epochs && overrides ? 0 : phase().steps;
  if (Status status = loadEvaluated(machine_, store_, state_); !status.ok()) {
    return status;
  }
  AtPhaseStart start(machine_, state_);
  if (Status status = batches_.start(phase(), state_.seed); !status.ok()) {
    return status;
  }
  std::set<uint32_t> tables;
  for (const plan::Turn& turn : phase().turns) {
    for (uint32_t entry : turn.cycle) {
      const std::vector<uint32_t>& watched = plan_.entries[entry].watchedTables;
      tables.insert(watched.begin(), watched.end());
    }
  }
  tables_.assign(tables.begin(), tables.end());
  uint64_t stepsPerEpoch = std::max<uint64_t>(batches_.stepsPerEpoch(), 1);
  uint64_t epochs = wantedEpochs_ > 0 ? wantedEpochs_ : (wantedSteps_ + stepsPerEpoch - 1) / stepsPerEpoch;
  uint64_t steps = wantedSteps_ > 0 ? wantedSteps_ : wantedEpochs_ * stepsPerEpoch;
  progress_.start({epochs, steps, stepsPerEpoch, batches_.examplesPerEpoch(), phase().name}, phaseSteps());
  return success();
}

Status Trainer::resume() {
  // Tensors that a checkpoint does not hold do not exist, so nothing is left of an initialisation.
  if (Status status = loadCheckpoint(checkpoint_, plan_, machine_.persistents(), state_); !status.ok()) {
    if (status.code == ExitCode::Io) {
      status.message += "; start without --resume";
    }
    return status;
  }
  if (options_.seed && *options_.seed != state_.seed) {
    return failure(ExitCode::Usage, "the checkpoint was made with --seed %llu; leave --seed out", u(state_.seed));
  }
  if (Status status = loadPhase(); !status.ok()) {
    return status;
  }
  std::vector<uint64_t> rows = batches_.rows();
  uint64_t numbers = 0;
  uint64_t logs = 0;
  countLogs(numbers, logs);
  bool impossible = state_.rows.size() != rows.size() || state_.logWeights.size() != logs;
  for (size_t i = 0; !impossible && i < rows.size(); ++i) {
    if (state_.position > 0 && state_.rows[i] != rows[i]) {
      return failure(ExitCode::BadInput,
                     "checkpoint `%s` stands within an epoch of %llu examples, and the data has %llu; resume with the "
                     "same data",
                     checkpoint_.c_str(), u(state_.rows[i]), u(rows[i]));
    }
  }
  if (impossible || state_.position > batches_.stepsPerEpoch() || state_.logSums.size() != numbers ||
      state_.phaseStep > state_.step) {
    return failure(ExitCode::BadInput, "checkpoint `%s` is damaged: its position is impossible", checkpoint_.c_str());
  }
  state_.rows = rows;
  saved_ = true;
  return success();
}

} // namespace dnn::runtime
