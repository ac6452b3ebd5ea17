// The training loop. Where a run is, is all in TrainState and the persistent tensors; both are what a checkpoint holds,
// so a run that is stopped after any step and resumed does exactly what an unstopped one does.
#pragma once

#include "runtime/cli/options.h"
#include "runtime/train/batches.h"
#include "runtime/train/events.h"
#include "runtime/train/pictures.h"
#include "runtime/train/progress.h"
#include "runtime/train/state.h"

namespace dnn::runtime {

class Trainer {
public:
  Trainer(Machine& machine, DataStore& store, const Options& options);

  /// Trains up to the totals of the plan or the options and prints a summary. Errors: data, files, ExitCode::Diverged,
  /// ExitCode::Interrupted with what was saved as the message.
  Status run();
  /// What the steps logged last, and the evaluations found.
  std::vector<Metric> results() const;

private:
  // trainer_prepare.cpp
  Status prepare();
  Status checkOptions();
  Status resume();
  Status initialize();
  /// Adds the numbers, and the logs, of all step statements of the phase.
  void countLogs(uint64_t& numbers, uint64_t& logs) const;
  Status checkMetricNames() const;
  /// A phase begins, with the parameters as they are.
  Status beginPhase();
  /// What a phase needs besides its state: data, totals. `state_` may stand anywhere in it.
  Status loadPhase();

  // trainer.cpp
  Status loop();
  Status step();
  /// Are the parameters and states that the phase's steps change finite?
  Status checkTrained();
  /// Is there something to do after the step that was done last, because of how many there were?
  bool stepDue() const;
  Status nextPhase();
  Status evaluateRest();
  void useBest();

  // trainer_results.cpp
  Status finishStep();
  Status finishEpoch();
  /// Metrics of the phase's epoch `epoch`, from 1.
  Status noteBest(const std::vector<Metric>& metrics, uint64_t epoch);
  Status noteEpoch(const std::vector<Metric>& metrics);
  bool measuredBySteps(const std::string& metric) const;
  /// The evaluations that are due after so many epochs or, of those that go by them, steps.
  Status evaluateDue(uint64_t count, bool steps, std::vector<Metric>& metrics, std::vector<Picture>& pictures);
  /// Of the logs of the phase's steps, as far as they have been added up.
  std::vector<Metric> stepAverages(const std::function<bool(const plan::Port&)>& wanted) const;
  /// Those that are due after so many steps, or epochs, which then begin anew.
  std::vector<Metric> takeLogs(uint64_t count, bool steps);

  // trainer_save.cpp
  Status save(const std::string& path);
  Status saveParts(uint64_t count, bool steps);
  Status saveAllParts();
  std::string partPath(const plan::PartRule& rule) const;
  Status saveDue(uint64_t count, bool steps);
  Status saveBeforeEnd();

  // trainer_report.cpp
  void noteEvaluation(uint32_t entry, const std::vector<Metric>& metrics);
  void summarize();
  void logStart();
  Status logEvaluation(const std::vector<Metric>& metrics, const std::vector<Picture>& pictures);
  void logPhase();
  void logStep(const plan::Entry& entry, uint64_t rows);
  void logMetrics(const char* event, const std::vector<Metric>& metrics);
  void noteLogs(const std::vector<Metric>& metrics);
  /// What was logged since it was last told, where training ends before it is due.
  void tellUnfinished();
  void logEnd(const char* reason);
  /// `number`: ends the names of their files.
  Status logPictures(const std::vector<Picture>& pictures, const std::string& number);

  const plan::Phase& phase() const { return plan_.phases[state_.phase]; }
  bool severalPhases() const { return plan_.phases.size() > 1; }
  /// The step statement at this position of an epoch; its entry that runs in the present round.
  const plan::Turn& turnAt(uint64_t position) const { return phase().turns[position % phase().turns.size()]; }
  uint32_t nextEntry() const;
  bool outOfPatience() const;
  bool phaseDone() const;
  bool stopped() const;
  uint64_t phaseSteps() const { return state_.step - state_.phaseStep; }

  Machine& machine_;
  DataStore& store_;
  const Options& options_;
  const plan::Plan& plan_;
  Progress progress_;
  EventLog events_;
  TrainState state_;
  Batches batches_;

  std::vector<uint32_t> tables_; // that steps of the phase change row by row
  uint64_t wantedEpochs_ = 0;    // of the phase; one of the two is 0
  uint64_t wantedSteps_ = 0;
  uint64_t stepLimit_ = UINT64_MAX; // of all phases
  std::string checkpoint_;          // "" = none

  double startTime_ = 0;
  double epochStart_ = 0;
  double seconds_ = 0; // that training took, evaluations and checkpoints between epochs included
  double waitSeconds_ = 0;
  uint64_t examplesDone_ = 0;
  uint64_t epochsDone_ = 0;
  uint64_t firstStep_ = 0;
  bool unreadable_ = false;                                // data that was checked cannot be read any more
  bool saved_ = false;                                     // the checkpoint file holds the present state
  std::vector<Metric> latest_;                             // of each evaluation
  std::vector<Metric> logged_;                             // of each log of a step
  std::vector<std::pair<uint32_t, uint64_t>> evaluatedAt_; // entry, step
  std::vector<Picture> pictures_;                          // of the last step of each turn in the epoch
};

} // namespace dnn::runtime
