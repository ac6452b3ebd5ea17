// What is due after some steps and after each epoch: logs, evaluations, the best values so far.
#include "runtime/support/text.h"
#include "runtime/train/clock.h"
#include "runtime/train/evaluate.h"
#include "runtime/train/trainer.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

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

std::vector<Metric> Trainer::stepAverages(const std::function<bool(const plan::Port&)>& wanted) const {
  std::vector<Metric> all;
  const double* sums = state_.logSums.data();
  const double* weights = state_.logWeights.data();
  for (const plan::Turn& turn : phase().turns) {
    const Entry& entry = plan_.entries[turn.cycle[0]];
    for (Metric& metric : averages(entry, "", sums, weights, wanted)) {
      all.push_back(std::move(metric));
    }
    sums += loggedNumbers(entry);
    weights += entry.outputs.size();
  }
  return all;
}

std::vector<Metric> Trainer::takeLogs(uint64_t count, bool steps) {
  std::vector<Metric> due = stepAverages([&](const plan::Port& log) { return isDue(log.every, count, steps); });
  double* sums = state_.logSums.data();
  double* weights = state_.logWeights.data();
  for (const plan::Turn& turn : phase().turns) {
    for (const plan::Port& log : plan_.entries[turn.cycle[0]].outputs) {
      uint64_t numbers = loggedNumbers(log);
      if (isDue(log.every, count, steps)) {
        std::fill(sums, sums + numbers, 0.0);
        *weights = 0;
      }
      sums += numbers;
      ++weights;
    }
  }
  noteLogs(due);
  return due;
}

Status Trainer::evaluateDue(uint64_t count, bool steps, std::vector<Metric>& metrics, std::vector<Picture>& pictures) {
  for (uint32_t i : phase().evals) {
    if (!isDue(plan_.entries[i].every, count, steps)) {
      continue;
    }
    Evaluation found;
    if (Status status = evaluate(machine_, store_, i, state_, found); !status.ok()) {
      unreadable_ = status.code == ExitCode::Io;
      return status;
    }
    noteEvaluation(i, found.metrics);
    metrics.insert(metrics.end(), found.metrics.begin(), found.metrics.end());
    std::move(found.pictures.begin(), found.pictures.end(), std::back_inserter(pictures));
  }
  return success();
}

Status Trainer::finishStep() {
  // An interrupted evaluation leaves the state as the step has left it; resuming comes here again.
  std::vector<Metric> metrics;
  std::vector<Picture> pictures;
  if (Status status = evaluateDue(phaseSteps(), true, metrics, pictures); !status.ok()) {
    return status;
  }
  state_.noted = state_.step;
  std::vector<Metric> logs = takeLogs(phaseSteps(), true);
  if (!logs.empty()) {
    logMetrics("log", logs);
  }
  if (!metrics.empty()) {
    if (Status status = logEvaluation(metrics, pictures); !status.ok()) {
      return status;
    }
  }
  metrics.insert(metrics.begin(), logs.begin(), logs.end());
  if (!metrics.empty()) {
    progress_.line("step %llu  %s", u(state_.step), text(metrics).c_str());
    if (Status status = noteBest(metrics, state_.epoch + 1); !status.ok()) {
      return status;
    }
  }
  if (Status status = saveParts(state_.step, true); !status.ok()) {
    return status;
  }
  return saveDue(state_.step, true);
}

Status Trainer::finishEpoch() {
  // An interrupted evaluation leaves the state at the end of the epoch's last step; resuming evaluates again.
  std::vector<Metric> found;
  if (Status status = evaluateDue(state_.epoch + 1, false, found, pictures_); !status.ok()) {
    return status;
  }
  std::vector<Metric> metrics = takeLogs(state_.epoch + 1, false);
  metrics.insert(metrics.end(), found.begin(), found.end());
  ++state_.epoch;
  ++epochsDone_;
  state_.position = 0;
  saved_ = false;

  double now = secondsNow();
  progress_.epoch(state_.epoch, now - epochStart_, metrics);
  if (events_.isOpen()) {
    events_.begin("epoch");
    logPhase();
    events_.field("epoch", state_.epoch);
    events_.field("step", state_.step);
    events_.fields(metrics);
    events_.field("seconds", now - epochStart_);
    events_.end();
    if (Status status =
            logPictures(std::exchange(pictures_, {}), format("%04llu", u(state_.phaseEpoch + state_.epoch)));
        !status.ok()) {
      return status;
    }
    if (Status status = events_.flush(); !status.ok()) {
      return status;
    }
  }
  epochStart_ = now;
  return noteEpoch(metrics);
}

Status Trainer::noteBest(const std::vector<Metric>& metrics, uint64_t epoch) {
  if (const Metric* metric = findMetric(metrics, phase().patience.metric)) {
    bool better = improves(state_.patience, metric->value, !smallerIsBetter(metric->name), epoch);
    if (better && phase().patience.restoreBest) {
      const uint8_t* now = machine_.persistents();
      state_.bestTensors.assign(now, now + plan_.persistentBytes);
    }
  }
  if (const Metric* metric = findMetric(metrics, phase().plateau.metric)) {
    improves(state_.plateau, metric->value, !smallerIsBetter(metric->name), epoch);
  }
  const Metric* metric = findMetric(metrics, plan_.checkpoint.best);
  bool better = metric != nullptr &&
                improves(state_.best, metric->value, plan_.checkpoint.bestIsLargest, state_.phaseEpoch + epoch);
  return better && !checkpoint_.empty() ? save(checkpoint_ + ".best") : success();
}

bool Trainer::measuredBySteps(const std::string& metric) const {
  for (const plan::Turn& turn : phase().turns) {
    for (const plan::Port& log : plan_.entries[turn.cycle[0]].outputs) {
      if (log.every.steps && log.name == metric) {
        return true;
      }
    }
  }
  return std::any_of(phase().evals.begin(), phase().evals.end(), [&](uint32_t i) {
    const Entry& entry = plan_.entries[i];
    return entry.every.steps && metric.rfind(entry.name + ".", 0) == 0;
  });
}

Status Trainer::noteEpoch(const std::vector<Metric>& metrics) {
  if (Status status = noteBest(metrics, state_.epoch); !status.ok()) {
    return status;
  }
  const plan::Plateau& plateau = phase().plateau;
  bool measured = findMetric(metrics, plateau.metric) != nullptr || measuredBySteps(plateau.metric);
  if (measured && state_.epoch >= state_.plateau.epoch + plateau.epochs) {
    uint8_t* at = machine_.persistent(plan_.persistents[plateau.persistent]);
    int32_t count;
    std::memcpy(&count, at, sizeof count);
    ++count;
    std::memcpy(at, &count, sizeof count);
    state_.plateau.epoch = state_.epoch; // the next one begins here
  }
  uint64_t epochs = state_.phaseEpoch + state_.epoch;
  if (Status status = saveParts(epochs, false); !status.ok()) {
    return status;
  }
  return saveDue(epochs, false);
}

} // namespace dnn::runtime
