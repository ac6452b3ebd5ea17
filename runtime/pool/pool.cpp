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

constexpr int64_t spinNanoseconds = 50'000;     // a worker without work watches for the next loop without a pause,
constexpr int64_t watchNanoseconds = 2'000'000; // then lets others run in between, then sleeps
constexpr int64_t worthWaking = 50'000;         // about what it takes until a worker that slept helps
constexpr int64_t longHandover = 250; // nanoseconds: 70 to 130 between cores with a common cache, 420 to 530 else
constexpr int64_t worthHandingOver = 80'000; // a loop on one thread, where that takes long
constexpr int handoversTogether = 8;         // the least of so many counts
constexpr unsigned measuredLoops = 16;       // one of so many is measured
constexpr unsigned keptLoops = 256;          // one of so many that would stay with the caller is measured
constexpr size_t mostKnownLoops = 4096;
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

/// If this thread shares a CPU with the caller, moves it to another one. A thread that has just been woken often lies
/// on the CPU of the one that woke it and stays there, because threads that give way look idle to the scheduler.
void leaveCpu(int callerCpu) {
  if (sched_getcpu() != callerCpu) {
    return;
  }
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2) {
    return;
  }
  cpu_set_t others = allowed;
  CPU_CLR(callerCpu, &others);
  sched_setaffinity(0, sizeof others, &others); // moves at once
  sched_setaffinity(0, sizeof allowed, &allowed);
}

/// Waits until `done()`, after a while giving the CPU to whoever else wants it; false after about 2 ms without it.
template <class Done, class Round> bool watchUntil(Done done, Round eachRound) {
  int64_t start = 0;
  for (int round = 0;; ++round) {
    for (int i = 0; i < 32; ++i) {
      if (done()) {
        return true;
      }
      pause();
    }
    eachRound();
    int64_t time = now();
    start = round == 0 ? time : start;
    if (time - start > watchNanoseconds) {
      return false;
    }
    if (time - start > spinNanoseconds) {
      sched_yield();
    }
  }
}

/// A loop inside a task runs in its thread.
thread_local bool insideTask = false;

int runAlone(void* context, Pool::Task task, int min, int size, uint8_t* closure) {
  for (int i = 0; i < size; ++i) {
    if (int error = task(context, min + i, closure)) {
      return error;
    }
  }
  return 0;
}

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
  took_.clear();
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

void Pool::wakeWorkers() {
  if (sleepers_.exchange(0) != 0) {
    futexWakeAll(signal_);
  }
}

void Pool::runTasks(bool fromLowEnd, int64_t wakeAt) {
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
    if (wakeAt != never && now() >= wakeAt) {
      wakeWorkers();
      wakeAt = never;
    }
    range = range_.load(std::memory_order_relaxed);
  }
}

void Pool::runTasksBesideSleepers() {
  int64_t wakeAt = never;
  if (!lastWasShort_) {
    wakeWorkers();
  } else {
    wakeAt = now() + worthWaking - alone_;
  }
  int64_t start = now();
  runTasks(true, wakeAt);
  int64_t took = now() - start;
  lastWasShort_ = took < worthWaking;
  alone_ = sleepers_.load() != 0 ? alone_ + took : 0;
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
    if (!watchUntil(isNew, [&] { leaveCpu(callerCpu_.load(std::memory_order_relaxed)); })) {
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
    if (int64_t opened = opened_.load(std::memory_order_relaxed); opened != 0 && (state & joinedMask) == 0) {
      noteHandover(now() - opened);
    }
    runTasks(false, never);
    state_.fetch_sub(oneWorker, std::memory_order_release);
  }
}

void Pool::noteHandover(int64_t nanoseconds) {
  int64_t least = std::min(leastHandover_.load(std::memory_order_relaxed), nanoseconds);
  bool enough = handovers_.fetch_add(1, std::memory_order_relaxed) + 1 >= handoversTogether;
  if (enough) {
    handover_.store(least, std::memory_order_relaxed);
    handovers_.store(0, std::memory_order_relaxed);
  }
  leastHandover_.store(enough ? INT64_MAX : least, std::memory_order_relaxed);
}

int Pool::runTogether(void* context, Task task, int min, int size, uint8_t* closure, Measured measured) {
  callerCpu_.store(sched_getcpu(), std::memory_order_relaxed);
  context_ = context;
  task_ = task;
  min_ = min;
  closure_ = closure;
  error_.store(0, std::memory_order_relaxed);
  range_.store(uint64_t{static_cast<uint32_t>(size)} << 32, std::memory_order_relaxed);
  uint64_t loop = (state_.load(std::memory_order_relaxed) >> 32) + 1;
  bool measure = measured == Measured::Yes && sleepers_.load(std::memory_order_relaxed) == 0;
  opened_.store(measure ? now() : 0, std::memory_order_relaxed);
  state_.store(loop << 32 | open, std::memory_order_release);
  signal_.fetch_add(1);
  if (sleepers_.load() == 0) {
    runTasks(true, never);
  } else {
    runTasksBesideSleepers();
  }

  // Nobody may join any more; those who did are in their last task.
  state_.fetch_and(~open, std::memory_order_acq_rel);
  auto allLeft = [&] { return (state_.load(std::memory_order_acquire) & joinedMask) == 0; };
  while (!watchUntil(allLeft, [] {})) {
  }
  return error_.load(std::memory_order_relaxed);
}

int Pool::runApart(void* context, Task task, int min, int size, uint8_t* closure) {
  if (took_.size() >= mostKnownLoops) {
    took_.clear();
  }
  auto [known, isNew] = took_.try_emplace(Loop{task, size}, 0);
  bool isShort = known->second < worthHandingOver;
  bool kept = isNew || (isShort && ++keptAlone_ < keptLoops);
  int64_t start = now();
  if (kept) {
    int error = runAlone(context, task, min, size, closure);
    known->second = now() - start;
    return error;
  }
  int error = runTogether(context, task, min, size, closure, Measured::Yes);
  keptAlone_ = isShort ? 0 : keptAlone_;
  known->second = std::min(known->second, (now() - start) * threads_); // it may have become shorter
  return error;
}

int Pool::parallelFor(void* context, Task task, int min, int size, uint8_t* closure) {
  bool alone = threads_ == 1 || size <= 1 || insideTask || onlyCaller_.load(std::memory_order_relaxed);
  if (alone || busy_.test_and_set(std::memory_order_acquire)) {
    return runAlone(context, task, min, size, closure);
  }
  insideTask = true;
  Measured measured = ++loops_ % measuredLoops == 0 ? Measured::Yes : Measured::No;
  int error = handover() > longHandover ? runApart(context, task, min, size, closure)
                                        : runTogether(context, task, min, size, closure, measured);
  insideTask = false;
  busy_.clear(std::memory_order_release);
  return error;
}

} // namespace dnn::runtime
