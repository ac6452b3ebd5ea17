// What a parallel loop costs on this machine: build the target pool_bench, run it alone. Prints microseconds a loop,
// minimum and median over repetitions, for a loop without work (the start-up), after a pause in which the workers may
// have gone to sleep, and the speed-up of loops with a given amount of work.
#include "runtime/pool/pool.h"
#include "runtime/support/resources.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using dnn::runtime::Pool;

double microseconds() {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void spinFor(double pause) {
  for (double end = microseconds() + pause; microseconds() < end;) {
  }
}

/// A chain of additions that takes about a nanosecond for each of `*length` rounds.
int workOf(void*, int, uint8_t* closure) {
  volatile float sum = 0;
  for (int i = *reinterpret_cast<int*>(closure); i > 0; --i) {
    sum = sum + 1.0F;
  }
  return 0;
}

struct Times {
  double least = 0;
  double median = 0;
};

/// Times of one loop of `tasks` tasks with `length` rounds each, every one after `pause` microseconds.
Times timeLoops(Pool& pool, int tasks, int length, double pause) {
  constexpr size_t repetitions = 2001;
  std::vector<double> times;
  while (times.size() < (pause > 1000 ? repetitions / 20 : repetitions)) {
    spinFor(pause);
    // Short loops in batches, because reading the clock costs as much as they do.
    int batch = pause > 0 ? 1 : 20;
    double begin = microseconds();
    for (int i = 0; i < batch; ++i) {
      pool.parallelFor(nullptr, workOf, 0, tasks, reinterpret_cast<uint8_t*>(&length));
    }
    times.push_back((microseconds() - begin) / batch);
  }
  std::ranges::sort(times);
  return {times.front(), times[times.size() / 2]};
}

} // namespace

int main() {
  int threads = dnn::runtime::availableCpus();
  Pool alone;
  Pool pool;
  pool.setThreads(threads);
  spinFor(1000);
  std::printf("%d threads; microseconds a loop: minimum, median\n", threads);
  for (int tasks : {2, 8, 32}) {
    Times t = timeLoops(pool, tasks, 0, 0);
    std::printf("empty, %2d tasks                 %8.2f %8.2f\n", tasks, t.least, t.median);
  }
  std::printf("a worker joins after %lld ns\n", static_cast<long long>(pool.handover()));
  for (double pause : {20.0, 100.0, 500.0, 5000.0}) {
    Times t = timeLoops(pool, 8, 0, pause);
    std::printf("empty, 8 tasks, after %4.0f µs   %8.2f %8.2f\n", pause, t.least, t.median);
  }
  std::printf("\n8 tasks with work: one thread, all threads, ratio of the medians\n");
  for (double pause : {0.0, 100.0, 500.0}) {
    for (int length : {100, 500, 1000, 5000, 20000}) {
      Times one = timeLoops(alone, 8, length, pause);
      Times all = timeLoops(pool, 8, length, pause);
      std::printf("after %3.0f µs, %6d rounds a task %8.2f %8.2f %8.2f\n", pause, length, one.median, all.median,
                  all.median / one.median);
    }
  }
  return 0;
}
