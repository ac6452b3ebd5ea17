// The thread pool under the parallel loops of compiled kernels. Kernels are short (microseconds) and follow each other
// closely, so the pool is made for that:
//  - The tasks of a loop are one packed (lo, hi) range. The calling thread takes from the low end, workers from the
//    high end, one at a time, so that with two threads each keeps its half of the data from kernel to kernel.
//  - A worker without work watches for the next loop for about 50 µs, then sleeps on a futex.
//  - The caller never waits for a sleeping worker: whoever is awake takes tasks; it waits only for tasks that have
//    been started.
// Which thread runs a task never changes what the task computes.
#pragma once

#include <atomic>
#include <cstdint>
#include <pthread.h>
#include <vector>

namespace dnn::runtime {

class Pool {
public:
  /// f(context, task number, closure) → 0 or an error code.
  using Task = int (*)(void* context, int task, uint8_t* closure);

  static constexpr int maxThreads = 256;

  /// The pool that halide_do_par_for uses; it starts with the calling thread alone.
  static Pool& global();

  Pool();
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Threads that take part, the calling one included: 1 … maxThreads. Not while a loop runs.
  void setThreads(int threads);
  int threads() const { return threads_; }

  /// Runs tasks min … min + size - 1 and returns 0, or the error code of one that failed; after a failure no further
  /// task starts. Nested and concurrent calls run in the calling thread alone.
  int parallelFor(void* context, Task task, int min, int size, uint8_t* closure);

private:
  void work();
  void runTasks(bool fromLowEnd);
  void stopWorkers();

  // What the current loop runs; written by the caller while no worker has joined.
  void* context_ = nullptr;
  Task task_ = nullptr;
  int min_ = 0;
  uint8_t* closure_ = nullptr;
  std::atomic<int> error_{0};

  alignas(64) std::atomic<uint64_t> range_{0}; // tasks left: lo in the low half, hi in the high half
  // Number of the loop in the high half; below it 2·(workers that joined) + (open to join).
  alignas(64) std::atomic<uint64_t> state_{0};
  alignas(64) std::atomic<uint32_t> signal_{0}; // the futex: changes with each loop
  std::atomic<uint32_t> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::atomic_flag busy_;

  int threads_ = 1;
  std::vector<pthread_t> workers_;
};

} // namespace dnn::runtime
