// The loop over steps, epochs and phases.
#include "runtime/train/trainer.h"

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

} // namespace

Trainer::Trainer(Machine& machine, DataStore& store, const Options& options)
    : machine_(machine), store_(store), options_(options), plan_(machine.plan()), progress_(options.quiet),
      batches_(machine, store) {}

uint32_t Trainer::nextEntry() const {
  const plan::Turn& turn = turnAt(state_.position);
  return turn.cycle[phaseSteps() / phase().turns.size() % turn.cycle.size()];
}

bool Trainer::outOfPatience() const {
  const plan::Patience& rule = phase().patience;
  return rule.epochs > 0 && state_.patience.found && state_.epoch >= state_.patience.epoch + rule.epochs;
}

bool Trainer::phaseDone() const {
  bool reached = wantedSteps_ > 0 ? phaseSteps() >= wantedSteps_ : state_.epoch >= wantedEpochs_;
  return reached || outOfPatience();
}

bool Trainer::stepDue() const {
  if (state_.noted == state_.step || phaseSteps() == 0) {
    return false;
  }
  bool evaluates = std::any_of(phase().evals.begin(), phase().evals.end(),
                               [&](uint32_t i) { return isDue(plan_.entries[i].every, phaseSteps(), true); });
  bool saves = isDue(plan_.checkpoint.every, state_.step, true) ||
               std::any_of(plan_.parts.begin(), plan_.parts.end(),
                           [&](const plan::PartRule& rule) { return isDue(rule.every, state_.step, true); });
  bool tells = std::any_of(phase().turns.begin(), phase().turns.end(), [&](const plan::Turn& turn) {
    const std::vector<plan::Port>& logs = plan_.entries[turn.cycle[0]].outputs;
    return std::any_of(logs.begin(), logs.end(),
                       [&](const plan::Port& log) { return isDue(log.every, phaseSteps(), true); });
  });
  return evaluates || saves || tells;
}

bool Trainer::stopped() const { return state_.step >= stepLimit_; }

Status Trainer::step() {
  uint32_t number = nextEntry();
  const Entry& entry = plan_.entries[number];
  uint64_t turn = state_.position % batches_.turns();
  double start = secondsNow();
  uint64_t rows = batches_.rowsAt(state_.position);
  if (Status status = batches_.fill(entry, state_.phaseEpoch + state_.epoch, state_.position); !status.ok()) {
    unreadable_ = status.code == ExitCode::Io;
    return status;
  }
  if (rows > 0) {
    waitSeconds_ += secondsNow() - start;
  }
  Moment moment{state_.seed, state_.step, state_.epoch};
  if (Status status = machine_.call(number, static_cast<int64_t>(rows), moment); !status.ok()) {
    return status;
  }
  state_.ended = false;
  ++state_.step;
  ++state_.position;
  saved_ = false;
  examplesDone_ += rows;
  // All of the parameters where it costs little and where something may follow that takes them for a result.
  bool last = state_.position + batches_.turns() > batches_.stepsPerEpoch();
  bool followed = last || phaseDone() || stopped() || stepDue();
  auto* check = followed || rows >= watchRows ? checkFinite : checkFiniteShare;
  Status finite = check(machine_, entry, state_.step, state_.epoch + 1);
  if (finite.ok() && followed) {
    finite = checkTensors(machine_, tables_, state_.step, state_.epoch + 1);
  }
  if (!finite.ok()) {
    return finite;
  }
  uint64_t before = 0; // numbers of the turns before, and logs
  uint64_t logsBefore = 0;
  for (uint64_t i = 0; i < turn; ++i) {
    before += loggedNumbers(plan_.entries[turnAt(i).cycle[0]]);
    logsBefore += plan_.entries[turnAt(i).cycle[0]].outputs.size();
  }
  addOutputs(machine_, entry, rows, state_.logSums.data() + before, state_.logWeights.data() + logsBefore);
  if (events_.isOpen()) {
    logStep(entry, rows);
    if (last) {
      auto due = [&](const plan::Port& log) { return isDue(log.every, state_.epoch + 1, false); };
      takePictures(machine_, entry, "", pictures_, due);
    }
    std::vector<Picture> now;
    takePictures(machine_, entry, "", now, [&](const plan::Port& log) { return isDue(log.every, phaseSteps(), true); });
    if (Status status = logPictures(now, format("step%06llu", u(state_.step))); !status.ok()) {
      return status;
    }
  }
  progress_.step(secondsNow(), state_.epoch + 1, state_.position, phaseSteps(),
                 [&] { return stepAverages([](const plan::Port&) { return true; }); });
  return success();
}

Status Trainer::nextPhase() {
  tellUnfinished();
  useBest();
  state_.phaseStep = state_.step;
  state_.phaseEpoch += state_.epoch + (state_.position > 0 ? 1 : 0); // epochs begun: each has an order of its own
  ++state_.phase;
  state_.epoch = 0;
  state_.position = 0;
  state_.patience = {};
  state_.plateau = {};
  saved_ = false;
  return beginPhase();
}

/// The phase is over: where its rule says so, the parameters of its best epoch come back.
void Trainer::useBest() {
  if (!state_.bestTensors.empty()) {
    std::copy(state_.bestTensors.begin(), state_.bestTensors.end(), machine_.persistents());
    state_.bestTensors.clear();
  }
}

Status Trainer::loop() {
  while (true) {
    bool trains = !phase().turns.empty();
    if (stepDue()) {
      if (Status status = finishStep(); !status.ok()) {
        return status;
      }
      continue;
    }
    if (trains && state_.position == batches_.stepsPerEpoch()) {
      if (Status status = finishEpoch(); !status.ok()) {
        return status;
      }
      continue;
    }
    if (!trains || phaseDone()) {
      if (state_.phase + 1 == plan_.phases.size()) {
        return success();
      }
      if (Status status = nextPhase(); !status.ok()) {
        return status;
      }
      continue;
    }
    if (stopped()) {
      return success();
    }
    uint32_t entry = nextEntry();
    if (Status status = step(); !status.ok()) {
      return status;
    }
    if (InterruptGuard::requested()) {
      Status status = checkFinite(machine_, plan_.entries[entry], state_.step, state_.epoch + 1);
      if (status.ok()) {
        status = checkTensors(machine_, tables_, state_.step, state_.epoch + 1);
      }
      return status.ok() ? Status{ExitCode::Interrupted, ""} : status;
    }
  }
}

Status Trainer::evaluateRest() {
  // Evaluations that were not due at the end still belong into the summary. They change no state, so that a run that
  // is resumed from here is none the wiser.
  bool restored = state_.ended;
  for (uint32_t i : phase().evals) {
    bool fresh = std::any_of(evaluatedAt_.begin(), evaluatedAt_.end(),
                             [&](const auto& at) { return at.first == i && at.second == state_.step; });
    if (fresh && !restored) {
      continue;
    }
    Evaluation found;
    if (Status status = evaluate(machine_, store_, i, state_, found); !status.ok()) {
      return status;
    }
    noteEvaluation(i, found.metrics);
  }
  return success();
}

Status Trainer::checkTrained() {
  for (const plan::Turn& turn : phase().turns) {
    for (uint32_t entry : turn.cycle) {
      const std::vector<uint32_t>& watched = plan_.entries[entry].watchedPersistents;
      if (Status status = checkTensors(machine_, watched, state_.step, state_.epoch + 1); !status.ok()) {
        return status;
      }
    }
  }
  return checkTensors(machine_, tables_, state_.step, state_.epoch + 1);
}

Status Trainer::run() {
  InterruptGuard guard;
  if (Status status = prepare(); !status.ok()) {
    return status;
  }
  if (!options_.log.empty()) {
    if (Status status = events_.open(plan::variantPath(plan_, options_.log), options_.resume); !status.ok()) {
      return status;
    }
    logStart();
  }
  firstStep_ = state_.step;
  startTime_ = secondsNow();
  epochStart_ = startTime_;

  Status status = loop();
  seconds_ = std::max(secondsNow() - startTime_, 1e-9);
  progress_.clear();
  Status unreadable;
  if (unreadable_ && state_.step > firstStep_) { // what the steps before have reached is not lost
    unreadable = status;
    status = checkTrained();
    status = status.ok() ? Status{ExitCode::Interrupted, ""} : status;
  }
  if (status.code == ExitCode::Diverged) {
    logEnd("diverged");
    return status;
  }
  bool interrupted = status.code == ExitCode::Interrupted;
  if (!interrupted && !status.ok()) {
    return status;
  }
  tellUnfinished();
  bool ended = !interrupted && !state_.bestTensors.empty() && phaseDone();
  saved_ = saved_ && ended == state_.ended;
  state_.ended = ended;
  if (Status saved = saveBeforeEnd(); !saved.ok()) {
    return saved;
  }
  if (ended) {
    useBest();
  }
  if (Status saved = saveAllParts(); !saved.ok()) {
    return saved;
  }
  if (!interrupted) {
    status = evaluateRest();
    interrupted = status.code == ExitCode::Interrupted;
  }
  logEnd(!unreadable.ok() ? "unreadable" : interrupted ? "interrupted" : outOfPatience() ? "patience" : "done");
  if (Status flushed = events_.flush(); !flushed.ok()) {
    return flushed;
  }
  if (interrupted) {
    std::string where = format("stopped after step %llu%s", u(state_.step),
                               saved_ ? format("; continue with --resume from `%s`", checkpoint_.c_str()).c_str()
                                      : "; nothing is saved: there is no --checkpoint");
    return unreadable.ok() ? Status{ExitCode::Interrupted, where}
                           : Status{unreadable.code, unreadable.message + "; " + where};
  }
  if (status.ok()) {
    summarize();
  }
  return status;
}

} // namespace dnn::runtime
