#include "runtime/train/interrupt.h"

namespace dnn::runtime {

namespace {

volatile std::sig_atomic_t stopRequested = 0;

void requestStop(int) { stopRequested = 1; }

} // namespace

InterruptGuard::InterruptGuard() {
  stopRequested = 0;
  struct sigaction action{};
  action.sa_handler = requestStop;
  action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND); // the second signal has its usual effect
  sigaction(SIGINT, &action, &oldInt_);
  sigaction(SIGTERM, &action, &oldTerm_);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &oldInt_, nullptr);
  sigaction(SIGTERM, &oldTerm_, nullptr);
}

bool InterruptGuard::requested() { return stopRequested != 0; }

} // namespace dnn::runtime
