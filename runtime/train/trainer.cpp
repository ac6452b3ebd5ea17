#include "runtime/train/trainer.h"

#include "runtime/checkpoint/checkpoint.h"
#include "runtime/data/order.h"
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

Status Trainer::step() {
  const Entry& entry = plan_.entries[stepEntry_];
  double start = secondsNow();
  uint64_t rows = batchRows(state_.position);
  if (data_ != nullptr) {
    if (shuffle_ && !orderValid_) {
      epochOrder(data_->rows, true, state_.seed, state_.epoch, entry.source, order_);
      orderValid_ = true;
    }
    Status status = gatherBatch(machine_, entry, *data_, shuffle_ ? order_.data() : nullptr,
                                state_.position * static_cast<uint64_t>(entry.batch), rows, state_.epoch);
    if (!status.ok()) {
      return status;
    }
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
  // All of the parameters where it costs little and where something may follow that takes them for a result.
  bool whole = rows >= watchRows || state_.position == stepsPerEpoch_ || done();
  auto* check = whole ? checkFinite : checkFiniteShare;
  if (Status status = check(machine_, entry, state_.step, state_.epoch + 1); !status.ok()) {
    return status;
  }
  addOutputs(machine_, entry, rows, state_.logSums, state_.logWeight);
  logStep(rows);
  progress_.step(secondsNow(), state_.epoch + 1, state_.position, state_.step,
                 [&] { return averages(entry, "", state_.logSums, state_.logWeight); });
  return success();
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
      Status status = checkFinite(machine_, plan_.entries[stepEntry_], state_.step, state_.epoch + 1);
      return status.ok() ? Status{ExitCode::Interrupted, ""} : status;
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

Status Trainer::run() {
  InterruptGuard guard;
  if (Status status = prepare(); !status.ok()) {
    return status;
  }
  if (!options_.log.empty()) {
    if (Status status = events_.open(options_.log, options_.resume); !status.ok()) {
      return status;
    }
    logStart();
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
