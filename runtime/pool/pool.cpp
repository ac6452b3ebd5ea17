#include "runtime/pool/pool.h"

#include <algorithm>
#include <climits>
#include <ctime>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace dnn::runtime {

namespace {

constexpr int64_t spinNanoseconds = 50'000;
constexpr uint64_t open = 1;      // in state_: workers may join
constexpr uint64_t oneWorker = 2; // in state_: one worker joined
constexpr uint64_t joinedMask = 0xFFFFFFFE;

int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

void futexWait(std::atomic<uint32_t>& word, uint32_t expected) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}

void futexWakeAll(std::atomic<uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

/// Waits with short pauses until `done()`; false after about 50 µs without it.
template <class Done> bool spinUntil(Done done) {
  int64_t start = 0;
  for (int round = 0;; ++round) {
    for (int i = 0; i < 32; ++i) {
      if (done()) {
        return true;
      }
      pause();
    }
    int64_t time = now();
    start = round == 0 ? time : start;
    if (time - start > spinNanoseconds) {
      return false;
    }
  }
}

/// A loop inside a task runs in its thread.
thread_local bool insideTask = false;

} // namespace

Pool& Pool::global() {
  // Never destroyed: compiled code may run until the process ends.
  static Pool* pool = new Pool;
  return *pool;
}

Pool::Pool() = default;

Pool::~Pool() { stopWorkers(); }

void Pool::stopWorkers() {
  stop_.store(true);
  signal_.fetch_add(1);
  futexWakeAll(signal_);
  for (pthread_t worker : workers_) {
    pthread_join(worker, nullptr);
  }
  workers_.clear();
  threads_ = 1;
  stop_.store(false);
}

void Pool::setThreads(int threads) {
  threads = std::clamp(threads, 1, maxThreads);
  if (threads == threads_) {
    return;
  }
  stopWorkers();
  auto start = [](void* pool) -> void* {
    static_cast<Pool*>(pool)->work();
    return nullptr;
  };
  while (threads_ < threads) {
    pthread_t worker{};
    if (pthread_create(&worker, nullptr, start, this) != 0) {
      break; // a limit of the process: fewer threads only cost time
    }
    workers_.push_back(worker);
    ++threads_;
  }
}

void Pool::runTasks(bool fromLowEnd) {
  uint64_t range = range_.load(std::memory_order_relaxed);
  while (true) {
    auto lo = static_cast<uint32_t>(range);
    auto hi = static_cast<uint32_t>(range >> 32);
    if (lo >= hi) {
      return;
    }
    uint32_t task = fromLowEnd ? lo : hi - 1;
    uint64_t left = fromLowEnd ? (uint64_t{hi} << 32 | (lo + 1)) : (uint64_t{hi - 1} << 32 | lo);
    if (!range_.compare_exchange_weak(range, left, std::memory_order_relaxed)) {
      continue;
    }
    if (int error = task_(context_, min_ + static_cast<int>(task), closure_)) {
      int none = 0;
      error_.compare_exchange_strong(none, error);
      range_.store(0, std::memory_order_relaxed);
      return;
    }
    range = range_.load(std::memory_order_relaxed);
  }
}

void Pool::work() {
  insideTask = true;
  uint64_t seen = state_.load() >> 32; // the last loop that this worker took part in or missed
  while (!stop_.load(std::memory_order_relaxed)) {
    uint32_t signal = signal_.load();
    uint64_t state = state_.load();
    auto isNew = [&] {
      state = state_.load(std::memory_order_acquire);
      return ((state & open) != 0 && state >> 32 != seen) || stop_.load(std::memory_order_relaxed);
    };
    if (!spinUntil(isNew)) {
      // The order matters: the caller changes the signal first and looks for sleepers then, so either it sees this one
      // or the wait returns at once.
      sleepers_.store(1);
      futexWait(signal_, signal);
      continue;
    }
    if ((state & open) == 0 || state >> 32 == seen) {
      continue; // stop
    }
    if (!state_.compare_exchange_strong(state, state + oneWorker, std::memory_order_acq_rel)) {
      continue; // the loop has ended, or another worker joined first
    }
    seen = state >> 32;
    runTasks(false);
    state_.fetch_sub(oneWorker, std::memory_order_release);
  }
}

int Pool::parallelFor(void* context, Task task, int min, int size, uint8_t* closure) {
  bool alone = threads_ == 1 || size <= 1 || insideTask;
  if (alone || busy_.test_and_set(std::memory_order_acquire)) {
    for (int i = 0; i < size; ++i) {
      if (int error = task(context, min + i, closure)) {
        return error;
      }
    }
    return 0;
  }
  context_ = context;
  task_ = task;
  min_ = min;
  closure_ = closure;
  error_.store(0, std::memory_order_relaxed);
  range_.store(uint64_t{static_cast<uint32_t>(size)} << 32, std::memory_order_relaxed);
  uint64_t loop = (state_.load(std::memory_order_relaxed) >> 32) + 1;
  state_.store(loop << 32 | open, std::memory_order_release);
  signal_.fetch_add(1);
  if (sleepers_.load() != 0 && sleepers_.exchange(0) != 0) {
    futexWakeAll(signal_);
  }

  insideTask = true;
  runTasks(true);
  insideTask = false;

  // Nobody may join any more; those who did are in their last task.
  state_.fetch_and(~open, std::memory_order_acq_rel);
  auto allLeft = [&] { return (state_.load(std::memory_order_acquire) & joinedMask) == 0; };
  while (!spinUntil(allLeft)) {
    sched_yield(); // more threads than CPUs
  }
  int error = error_.load(std::memory_order_relaxed);
  busy_.clear(std::memory_order_release);
  return error;
}

} // namespace dnn::runtime
