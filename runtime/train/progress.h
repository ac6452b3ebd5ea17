// What a run shows on standard output. On a terminal: one line that is rewritten about ten times a second, and a line
// for each epoch above it. Elsewhere: plain lines only, at most about twenty for a run of short epochs.
#pragma once

#include "runtime/train/metrics.h"

namespace dnn::runtime {

class Progress {
public:
  struct Totals {
    uint64_t epochs = 0; // of the phase
    uint64_t steps = 0;
    uint64_t stepsPerEpoch = 0;
    uint64_t examplesPerEpoch = 0; // 0 = the program has no examples
    std::string phase;             // stands in front of each line; may be empty
  };

  explicit Progress(bool quiet);

  void start(const Totals& totals, uint64_t stepsDone);
  /// A step is done; `metrics` is called when there is something to show.
  template <class Metrics>
  void step(double now, uint64_t epoch, uint64_t position, uint64_t stepsDone, Metrics metrics) {
    if (now >= nextUpdate_) {
      update(now, epoch, position, stepsDone, metrics());
    }
  }
  /// An epoch (from 1) is done.
  void epoch(uint64_t epoch, double seconds, const std::vector<Metric>& metrics);
  /// A line of its own.
  __attribute__((format(printf, 2, 3))) void line(const char* format, ...);
  /// Removes the live line.
  void clear();

private:
  void update(double now, uint64_t epoch, uint64_t position, uint64_t stepsDone, const std::vector<Metric>& metrics);

  std::string prefix() const { return totals_.phase.empty() ? "" : totals_.phase + "  "; }

  bool quiet_;
  bool terminal_;
  bool live_ = false;
  Totals totals_;
  uint64_t firstStep_ = 0;
  double startTime_ = 0;
  double nextUpdate_ = 0;
};

} // namespace dnn::runtime
