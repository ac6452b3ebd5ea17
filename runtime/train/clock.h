#pragma once

#include <ctime>

namespace dnn::runtime {

/// Seconds on a clock that never goes back.
inline double secondsNow() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

} // namespace dnn::runtime
