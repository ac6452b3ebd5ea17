// What happens before the first step: totals and paths, data, initialisation or the checkpoint.
#include "runtime/train/trainer.h"

#include "runtime/checkpoint/checkpoint.h"
#include "runtime/data/statistics.h"
#include "runtime/support/file.h"

namespace dnn::runtime {

using plan::Entry;

namespace {

unsigned long long u(uint64_t value) { return value; }

} // namespace

Status Trainer::checkMetricNames() const {
  auto exists = [&](const std::string& name) {
    for (const Entry& entry : plan_.entries) {
      std::string prefix = entry.kind == Entry::Kind::Eval ? entry.name + "." : "";
      for (const plan::Port& port : entry.outputs) {
        bool logs = entry.kind == Entry::Kind::Eval || entry.kind == Entry::Kind::Step;
        if (logs && prefix + port.name == name) {
          return true;
        }
      }
    }
    return name.empty();
  };
  for (const std::string& name : {plan_.patience.metric, plan_.checkpoint.best}) {
    if (!exists(name)) {
      return failure(ExitCode::Internal, "the plan refers to metric `%s`, which nothing logs", name.c_str());
    }
  }
  return success();
}

Status Trainer::prepare() {
  int entry = machine_.findEntry(Entry::Kind::Step);
  if (entry < 0) {
    return failure(ExitCode::Usage, "this program has no training step; see --help for its commands");
  }
  stepEntry_ = static_cast<uint32_t>(entry);
  const Entry& step = plan_.entries[stepEntry_];
  if (Status status = checkMetricNames(); !status.ok()) {
    return status;
  }

  wantedEpochs_ = options_.epochs.value_or(options_.steps ? 0 : plan_.epochs);
  wantedSteps_ = options_.steps.value_or(options_.epochs ? 0 : plan_.steps);
  if (!options_.checkpoint.empty()) {
    checkpoint_ = options_.checkpoint;
  } else if (!plan_.checkpoint.path.empty()) {
    checkpoint_ = resolvePath(plan_.directory, plan_.checkpoint.path);
  }
  if (options_.resume && checkpoint_.empty()) {
    return failure(ExitCode::Usage, "--resume needs --checkpoint PATH: this program has no checkpoint rule");
  }
  // Found out now, not after an hour of training.
  if (!checkpoint_.empty()) {
    if (Status status = checkWritable(checkpoint_); !status.ok()) {
      status.message += options_.checkpoint.empty() ? "; another place can be given with --checkpoint PATH" : "";
      return status;
    }
  }

  if (!step.source.empty()) {
    if (Status status = store_.load(step.source, data_); !status.ok()) {
      return status;
    }
    shuffle_ = plan_.sources[static_cast<size_t>(machine_.findSource(step.source))].shuffle;
    auto batch = static_cast<uint64_t>(step.batch);
    stepsPerEpoch_ = (data_->rows + batch - 1) / batch;
  }
  for (const Entry& eval : plan_.entries) {
    const Dataset* unused = nullptr;
    if (eval.kind == Entry::Kind::Eval && !eval.source.empty()) {
      if (Status status = store_.load(eval.source, unused); !status.ok()) {
        return status;
      }
    }
  }
  return options_.resume ? resume() : initialize();
}

Status Trainer::initialize() {
  state_ = {};
  state_.seed = options_.seed.value_or(plan_.seed);
  state_.rows = data_ != nullptr ? data_->rows : 0;
  state_.logSums.resize(plan_.entries[stepEntry_].outputs.size());
  int init = machine_.findEntry(Entry::Kind::Init);
  Status status = init < 0 ? success() : machine_.call(static_cast<uint32_t>(init), 0, {state_.seed, 0, 0});
  return status.ok() ? fillStatistics(machine_, store_) : status;
}

Status Trainer::resume() {
  // Tensors that a checkpoint does not hold do not exist, so nothing is left of an initialisation.
  if (Status status = loadCheckpoint(checkpoint_, plan_, machine_.persistents(), state_); !status.ok()) {
    if (status.code == ExitCode::Io) {
      status.message += "; start without --resume";
    }
    return status;
  }
  uint64_t rows = data_ != nullptr ? data_->rows : 0;
  if (options_.seed && *options_.seed != state_.seed) {
    return failure(ExitCode::Usage, "the checkpoint was made with --seed %llu; leave --seed out", u(state_.seed));
  }
  if (state_.position > 0 && state_.rows != rows) {
    return failure(ExitCode::BadInput,
                   "checkpoint `%s` stands within an epoch of %llu examples, and the data has %llu; resume with the "
                   "same data",
                   checkpoint_.c_str(), u(state_.rows), u(rows));
  }
  if (state_.position > stepsPerEpoch_ || state_.logSums.size() != plan_.entries[stepEntry_].outputs.size()) {
    return failure(ExitCode::BadInput, "checkpoint `%s` is damaged: its position is impossible", checkpoint_.c_str());
  }
  state_.rows = rows;
  saved_ = true;
  return success();
}

} // namespace dnn::runtime
