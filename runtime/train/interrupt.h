// Ctrl-C and termination: the first one asks the run to stop after the current step, a second one ends the process.
#pragma once

#include <csignal>

namespace dnn::runtime {

/// Handles SIGINT and SIGTERM as long as it lives.
class InterruptGuard {
public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  static bool requested();

private:
  struct sigaction oldInt_{};
  struct sigaction oldTerm_{};
};

} // namespace dnn::runtime
