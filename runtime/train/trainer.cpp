#include "runtime/train/trainer.h"

#include "runtime/checkpoint/checkpoint.h"
#include "runtime/data/order.h"
#include "runtime/pool/pool.h"
#include "runtime/support/file.h"
#include "runtime/support/text.h"
#include "runtime/train/clock.h"
#include "runtime/train/evaluate.h"
#include "runtime/train/interrupt.h"
#include "runtime/train/watch.h"

#include <algorithm>

namespace dnn::runtime {

using plan::Entry;

namespace {

unsigned long long u(uint64_t value) { return value; }

/// Whether `value` improves on the best one, which it then becomes. NaN never does.
bool improves(Best& best, double value, bool largest, uint64_t epoch) {
  bool better = best.found ? (largest ? value > best.value : value < best.value) : value == value;
  if (better) {
    best = {true, value, epoch};
  }
  return better;
}

} // namespace

Trainer::Trainer(Machine& machine, DataStore& store, const Options& options)
    : machine_(machine), store_(store), options_(options), plan_(machine.plan()), progress_(options.quiet) {}

uint64_t Trainer::totalSteps() const { return wantedSteps_ > 0 ? wantedSteps_ : wantedEpochs_ * stepsPerEpoch_; }

uint64_t Trainer::batchRows(uint64_t position) const {
  if (data_ == nullptr) {
    return 0;
  }
  auto batch = static_cast<uint64_t>(plan_.entries[stepEntry_].batch);
  return std::min(batch, data_->rows - position * batch);
}

bool Trainer::outOfPatience() const {
  return plan_.patience.epochs > 0 && state_.patience.found &&
         state_.epoch >= state_.patience.epoch + plan_.patience.epochs;
}

bool Trainer::done() const {
  bool reached = wantedSteps_ > 0 ? state_.step >= wantedSteps_ : state_.epoch >= wantedEpochs_;
  return reached || outOfPatience();
}

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
  return init < 0 ? success() : machine_.call(static_cast<uint32_t>(init), 0, {state_.seed, 0, 0});
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

Status Trainer::step() {
  const Entry& entry = plan_.entries[stepEntry_];
  double start = secondsNow();
  uint64_t rows = batchRows(state_.position);
  if (data_ != nullptr) {
    if (shuffle_ && !orderValid_) {
      epochOrder(data_->rows, true, state_.seed, state_.epoch, entry.source, order_);
      orderValid_ = true;
    }
    gatherBatch(machine_, entry, *data_, shuffle_ ? order_.data() : nullptr,
                state_.position * static_cast<uint64_t>(entry.batch), rows);
    waitSeconds_ += secondsNow() - start;
  }
  Moment moment{state_.seed, state_.step, state_.epoch};
  if (Status status = machine_.call(stepEntry_, static_cast<int64_t>(rows), moment); !status.ok()) {
    return status;
  }
  ++state_.step;
  ++state_.position;
  saved_ = false;
  examplesDone_ += rows;
  if (Status status = checkFinite(machine_, entry, state_.step, state_.epoch + 1); !status.ok()) {
    return status;
  }
  addOutputs(machine_, entry, rows, state_.logSums, state_.logWeight);
  if (events_.isOpen()) {
    events_.begin("step");
    events_.field("epoch", state_.epoch + 1);
    events_.field("step", state_.step);
    events_.field("rows", rows);
    for (const plan::Port& port : entry.outputs) {
      events_.field(port.name.c_str(), readScalar(machine_, port));
    }
    events_.end();
  }
  progress_.step(secondsNow(), state_.epoch + 1, state_.position, state_.step,
                 [&] { return averages(entry, "", state_.logSums, state_.logWeight); });
  return success();
}

void Trainer::noteEvaluation(uint32_t entry, const std::vector<Metric>& metrics) {
  for (const Metric& metric : metrics) {
    auto same = [&](const Metric& other) { return other.name == metric.name; };
    auto found = std::find_if(latest_.begin(), latest_.end(), same);
    if (found != latest_.end()) {
      *found = metric;
    } else {
      latest_.push_back(metric);
    }
  }
  auto sameEntry = [&](const auto& other) { return other.first == entry; };
  auto at = std::find_if(evaluatedAt_.begin(), evaluatedAt_.end(), sameEntry);
  if (at != evaluatedAt_.end()) {
    at->second = state_.step;
  } else {
    evaluatedAt_.emplace_back(entry, state_.step);
  }
}

Status Trainer::evaluateDue(uint64_t epoch, std::vector<Metric>& metrics) {
  for (uint32_t i = 0; i < plan_.entries.size(); ++i) {
    const Entry& entry = plan_.entries[i];
    if (entry.kind != Entry::Kind::Eval || epoch % std::max(entry.every, 1u) != 0) {
      continue;
    }
    std::vector<Metric> found;
    if (Status status = evaluate(machine_, store_, i, state_, found); !status.ok()) {
      return status;
    }
    noteEvaluation(i, found);
    metrics.insert(metrics.end(), found.begin(), found.end());
  }
  return success();
}

Status Trainer::finishEpoch() {
  // An interrupted evaluation leaves the state at the end of the epoch's last step; resuming evaluates again.
  std::vector<Metric> metrics = averages(plan_.entries[stepEntry_], "", state_.logSums, state_.logWeight);
  if (Status status = evaluateDue(state_.epoch + 1, metrics); !status.ok()) {
    return status;
  }
  ++state_.epoch;
  state_.position = 0;
  std::fill(state_.logSums.begin(), state_.logSums.end(), 0.0);
  state_.logWeight = 0;
  orderValid_ = false;
  saved_ = false;

  double now = secondsNow();
  progress_.epoch(state_.epoch, now - epochStart_, metrics);
  if (events_.isOpen()) {
    events_.begin("epoch");
    events_.field("epoch", state_.epoch);
    events_.field("step", state_.step);
    events_.fields(metrics);
    events_.field("seconds", now - epochStart_);
    events_.end();
    if (Status status = events_.flush(); !status.ok()) {
      return status;
    }
  }
  epochStart_ = now;

  if (const Metric* metric = findMetric(metrics, plan_.patience.metric)) {
    improves(state_.patience, metric->value, !smallerIsBetter(metric->name), state_.epoch);
  }
  const Metric* metric = findMetric(metrics, plan_.checkpoint.best);
  if (metric != nullptr && improves(state_.best, metric->value, plan_.checkpoint.bestIsLargest, state_.epoch) &&
      !checkpoint_.empty()) {
    if (Status status = save(checkpoint_ + ".best"); !status.ok()) {
      return status;
    }
  }
  bool due = !plan_.checkpoint.path.empty() && state_.epoch % std::max(plan_.checkpoint.everyEpochs, 1u) == 0;
  if (due && !checkpoint_.empty()) {
    Status status = save(checkpoint_);
    saved_ = status.ok();
    return status;
  }
  return success();
}

Status Trainer::save(const std::string& path) {
  if (Status status = saveCheckpoint(path, plan_, machine_.persistents(), state_); !status.ok()) {
    return status;
  }
  if (events_.isOpen()) {
    events_.begin("checkpoint");
    events_.field("epoch", state_.epoch);
    events_.field("step", state_.step);
    events_.field("path", path);
    events_.end();
  }
  return success();
}

Status Trainer::saveBeforeEnd() {
  if (checkpoint_.empty() || saved_) {
    return success();
  }
  Status status = save(checkpoint_);
  saved_ = status.ok();
  return status;
}

Status Trainer::loop() {
  while (true) {
    if (state_.position == stepsPerEpoch_) {
      if (Status status = finishEpoch(); !status.ok()) {
        return status;
      }
      continue;
    }
    if (done()) {
      return success();
    }
    if (Status status = step(); !status.ok()) {
      return status;
    }
    if (InterruptGuard::requested()) {
      return {ExitCode::Interrupted, ""};
    }
  }
}

Status Trainer::evaluateRest() {
  // Evaluations that were not due at the end still belong into the summary. They change no state, so that a run that
  // is resumed from here is none the wiser.
  for (uint32_t i = 0; i < plan_.entries.size(); ++i) {
    bool fresh = std::any_of(evaluatedAt_.begin(), evaluatedAt_.end(),
                             [&](const auto& at) { return at.first == i && at.second == state_.step; });
    if (plan_.entries[i].kind != Entry::Kind::Eval || fresh) {
      continue;
    }
    std::vector<Metric> found;
    if (Status status = evaluate(machine_, store_, i, state_, found); !status.ok()) {
      return status;
    }
    noteEvaluation(i, found);
  }
  return success();
}

void Trainer::logEnd(const char* reason) {
  if (events_.isOpen()) {
    events_.begin("end");
    events_.field("reason", std::string(reason));
    events_.field("epoch", state_.epoch);
    events_.field("step", state_.step);
    events_.field("seconds", seconds_);
    events_.fields(latest_);
    events_.end();
  }
}

void Trainer::summarize() {
  uint64_t steps = state_.step - firstStep_;
  if (steps == 0) {
    progress_.line("nothing to do: %llu epochs and %llu steps are done already", u(state_.epoch), u(state_.step));
  } else {
    std::string rate;
    if (examplesDone_ > 0) {
      rate = grouped(static_cast<uint64_t>(static_cast<double>(examplesDone_) / seconds_)) + " examples/s, ";
    }
    progress_.line("trained %s: %s epochs, %s steps in %s (%s%.0f%% of the time waiting for data)",
                   plan_.program.c_str(), grouped(state_.epoch).c_str(), grouped(steps).c_str(),
                   duration(seconds_).c_str(), rate.c_str(), 100 * waitSeconds_ / seconds_);
  }
  if (outOfPatience()) {
    progress_.line("stopped early: %s was best after epoch %llu", plan_.patience.metric.c_str(),
                   u(state_.patience.epoch));
  }
  std::string results;
  for (const Metric& metric : latest_) {
    results += (results.empty() ? "" : "  ") + text(metric);
  }
  if (!results.empty()) {
    progress_.line("%s", results.c_str());
  }
  if (state_.best.found) {
    progress_.line("best %s after epoch %llu", text({plan_.checkpoint.best, state_.best.value}).c_str(),
                   u(state_.best.epoch));
  }
  if (saved_) {
    progress_.line("checkpoint %s", checkpoint_.c_str());
  }
}

Status Trainer::run() {
  InterruptGuard guard;
  if (Status status = prepare(); !status.ok()) {
    return status;
  }
  if (!options_.log.empty()) {
    if (Status status = events_.open(options_.log, options_.resume); !status.ok()) {
      return status;
    }
    events_.begin("start");
    events_.field("program", plan_.program);
    events_.field("seed", state_.seed);
    events_.field("epoch", state_.epoch);
    events_.field("step", state_.step);
    events_.field("threads", static_cast<uint64_t>(Pool::global().threads()));
    events_.field("examples", state_.rows);
    events_.end();
  }
  firstStep_ = state_.step;
  uint64_t epochs = wantedEpochs_ > 0 ? wantedEpochs_ : (wantedSteps_ + stepsPerEpoch_ - 1) / stepsPerEpoch_;
  progress_.start({epochs, totalSteps(), stepsPerEpoch_, data_ != nullptr ? data_->rows : 0}, state_.step);
  startTime_ = secondsNow();
  epochStart_ = startTime_;

  Status status = loop();
  seconds_ = std::max(secondsNow() - startTime_, 1e-9);
  progress_.clear();
  if (status.code == ExitCode::Diverged) {
    logEnd("diverged");
    return status;
  }
  bool interrupted = status.code == ExitCode::Interrupted;
  if (!interrupted && !status.ok()) {
    return status;
  }
  if (Status saved = saveBeforeEnd(); !saved.ok()) {
    return saved;
  }
  if (!interrupted) {
    status = evaluateRest();
    interrupted = status.code == ExitCode::Interrupted;
  }
  logEnd(interrupted ? "interrupted" : outOfPatience() ? "patience" : "done");
  if (Status flushed = events_.flush(); !flushed.ok()) {
    return flushed;
  }
  if (interrupted) {
    return failure(ExitCode::Interrupted, "stopped after step %llu%s", u(state_.step),
                   saved_ ? format("; continue with --resume from `%s`", checkpoint_.c_str()).c_str()
                          : "; nothing is saved: there is no --checkpoint");
  }
  if (status.ok()) {
    summarize();
  }
  return status;
}

} // namespace dnn::runtime
