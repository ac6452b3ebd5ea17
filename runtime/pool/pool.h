// The thread pool under the parallel loops of compiled kernels. Kernels are short (microseconds) and follow each other
// closely, so the pool is made for that:
//  - The tasks of a loop are one packed (lo, hi) range. The calling thread takes from the low end, workers from the
//    high end, one at a time, so that with two threads each keeps its half of the data from kernel to kernel.
//  - A worker without work watches for the next loop for about 2 ms, most of them giving way to other threads, then
//    sleeps on a futex: until a worker that sleeps takes part, 20 to 150 µs pass, and a step has serial stretches.
//  - The caller never waits for a sleeping worker: whoever is awake takes tasks; it waits only for tasks that have
//    been started. Waking costs the caller several µs, so workers that sleep are left alone by a loop that will be
//    over before they could help: one that follows a short one, until short ones have added up.
//  - Cores that share no cache hand lines to each other several times as slowly, and on a virtual machine the same two
//    threads may run on such cores for some seconds. Workers measure how long a loop takes to reach them; while that is
//    long, loops that the caller has done alone in a short time stay with it.
// Which thread runs a task never changes what the task computes.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <pthread.h>
#include <utility>
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
  /// Whether the calling thread runs loops alone, whatever their size.
  void setAlone(bool alone) { onlyCaller_.store(alone, std::memory_order_relaxed); }

  /// Runs tasks min … min + size - 1 and returns 0, or the error code of one that failed; after a failure no further
  /// task starts. Nested and concurrent calls run in the calling thread alone.
  int parallelFor(void* context, Task task, int min, int size, uint8_t* closure);

  /// What a worker measured: nanoseconds from the start of a loop to its joining. The least of a few in a row counts.
  void noteHandover(int64_t nanoseconds);
  /// Nanoseconds; 0 until there are enough measurements.
  int64_t handover() const { return handover_.load(std::memory_order_relaxed); }

private:
  static constexpr int64_t never = INT64_MAX;
  using Loop = std::pair<Task, int>; ///< and its size
  enum class Measured : uint8_t { No, Yes };

  /// With all threads. Measured: the first worker that joins notes how long that took.
  int runTogether(void* context, Task task, int min, int size, uint8_t* closure, Measured measured);
  /// While handing over takes long: alone if the loop is short.
  int runApart(void* context, Task task, int min, int size, uint8_t* closure);

  void work();
  /// Takes tasks until none is left. The workers are woken after the first task that ends at `wakeAt` or later.
  void runTasks(bool fromLowEnd, int64_t wakeAt);
  void runTasksBesideSleepers();
  void wakeWorkers();
  void stopWorkers();

  // What the current loop runs; written by the caller while no worker has joined.
  void* context_ = nullptr;
  Task task_ = nullptr;
  int min_ = 0;
  uint8_t* closure_ = nullptr;
  std::atomic<int> error_{0};
  std::atomic<int> callerCpu_{-1}; // where workers should not be
  std::atomic<int64_t> opened_{0}; // when the loop was, if that is measured; else 0

  alignas(64) std::atomic<uint64_t> range_{0}; // tasks left: lo in the low half, hi in the high half
  // Number of the loop in the high half; below it 2·(workers that joined) + (open to join).
  alignas(64) std::atomic<uint64_t> state_{0};
  alignas(64) std::atomic<uint32_t> signal_{0}; // the futex: changes with each loop
  std::atomic<uint32_t> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::atomic_flag busy_;

  // Of loops that began with workers asleep; the calling thread's.
  bool lastWasShort_ = false;
  int64_t alone_ = 0; // nanoseconds that such loops took since workers were last woken

  std::atomic<int64_t> handover_{0}, leastHandover_{INT64_MAX}; // nanoseconds; of the last measurements, of those since
  std::atomic<int> handovers_{0};                               // how many since

  // The calling thread's.
  unsigned loops_ = 0;           // so far
  unsigned keptAlone_ = 0;       // since handing over was last measured
  std::map<Loop, int64_t> took_; // nanoseconds on one thread, of loops while handing over took long

  std::atomic<bool> onlyCaller_{false};
  int threads_ = 1;
  std::vector<pthread_t> workers_;
};

} // namespace dnn::runtime
