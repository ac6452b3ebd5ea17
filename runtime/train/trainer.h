// The training loop. Where a run is, is all in TrainState and the persistent tensors; both are what a checkpoint holds,
// so a run that is stopped after any step and resumed does exactly what an unstopped one does.
#pragma once

#include "runtime/cli/options.h"
#include "runtime/train/events.h"
#include "runtime/train/progress.h"
#include "runtime/train/state.h"

namespace dnn::runtime {

class Trainer {
public:
  Trainer(Machine& machine, DataStore& store, const Options& options);

  /// Trains up to the totals of the plan or the options and prints a summary. Errors: data, files, ExitCode::Diverged,
  /// ExitCode::Interrupted with what was saved as the message.
  Status run();

private:
  Status prepare();
  Status resume();
  Status initialize();
  Status loop();
  Status step();
  Status finishEpoch();
  Status evaluateDue(uint64_t epoch, std::vector<Metric>& metrics);
  Status evaluateRest();
  Status save(const std::string& path);
  Status saveBeforeEnd();
  Status checkMetricNames() const;
  void noteEvaluation(uint32_t entry, const std::vector<Metric>& metrics);
  void summarize();
  void logStart();
  void logStep(uint64_t rows);
  void logEnd(const char* reason);

  bool outOfPatience() const;
  bool done() const;
  uint64_t totalSteps() const;
  uint64_t batchRows(uint64_t position) const;

  Machine& machine_;
  DataStore& store_;
  const Options& options_;
  const plan::Plan& plan_;
  Progress progress_;
  EventLog events_;
  TrainState state_;

  uint32_t stepEntry_ = 0;
  const Dataset* data_ = nullptr; // null: the step reads no data
  bool shuffle_ = false;
  uint64_t stepsPerEpoch_ = 1;
  uint64_t wantedEpochs_ = 0; // one of the two is 0
  uint64_t wantedSteps_ = 0;
  std::string checkpoint_; // "" = none

  std::vector<uint32_t> order_;
  bool orderValid_ = false;

  double startTime_ = 0;
  double epochStart_ = 0;
  double seconds_ = 0; // that training took, evaluations and checkpoints between epochs included
  double waitSeconds_ = 0;
  uint64_t examplesDone_ = 0;
  uint64_t firstStep_ = 0;
  bool saved_ = false;                                     // the checkpoint file holds the present state
  std::vector<Metric> latest_;                             // of each evaluation
  std::vector<std::pair<uint32_t, uint64_t>> evaluatedAt_; // entry, step
};

} // namespace dnn::runtime
