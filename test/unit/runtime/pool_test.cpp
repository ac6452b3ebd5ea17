#include "runtime/pool/pool.h"

#include "runtime/pool/kernel_abi.h"
#include "runtime/support/resources.h"
#include "test/unit/runtime/fake_program.h"

#include <atomic>
#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

namespace dnn::runtime {
namespace {

struct Counts {
  std::atomic<int> runs[300] = {};
  int offset = 0;
};

int countTask(void*, int task, uint8_t* closure) {
  auto* counts = reinterpret_cast<Counts*>(closure);
  ++counts->runs[task - counts->offset];
  return 0;
}

class PoolThreads : public testing::TestWithParam<int> {};

TEST_P(PoolThreads, EveryTaskRunsOnceInEachOfManyLoops) {
  Pool pool;
  pool.setThreads(GetParam());
  EXPECT_EQ(pool.threads(), GetParam());
  Counts counts;
  counts.offset = -5;
  int expected[300] = {};
  for (int loop = 0; loop < 20000; ++loop) {
    int size = loop % 7 == 0 ? 0 : 1 + loop % 11;
    ASSERT_EQ(pool.parallelFor(nullptr, countTask, -5, size, reinterpret_cast<uint8_t*>(&counts)), 0);
    for (int i = 0; i < size; ++i) {
      ++expected[i];
      ASSERT_EQ(counts.runs[i].load(), expected[i]) << "loop " << loop << " task " << i;
    }
  }
}

int slowCountTask(void* context, int task, uint8_t* closure) {
  usleep(20);
  return countTask(context, task, closure);
}

TEST_P(PoolThreads, LoopsAfterThePoolFellAsleepRunToo) {
  Pool pool;
  pool.setThreads(GetParam());
  Counts counts;
  for (int loop = 0; loop < 20; ++loop) {
    usleep(3000); // longer than a worker watches
    // Long and short ones in turn: whether sleepers are woken depends on the loop before.
    auto* task = loop % 6 < 3 ? countTask : slowCountTask;
    ASSERT_EQ(pool.parallelFor(nullptr, task, 0, 300, reinterpret_cast<uint8_t*>(&counts)), 0);
  }
  for (const std::atomic<int>& runs : counts.runs) {
    ASSERT_EQ(runs.load(), 20);
  }
}

TEST_P(PoolThreads, AnErrorCodeComesBackAndTheNextLoopIsClean) {
  Pool pool;
  pool.setThreads(GetParam());
  auto failing = [](void*, int task, uint8_t*) { return task == 20 ? -7 : 0; };
  Counts counts;
  for (int loop = 0; loop < 100; ++loop) {
    ASSERT_EQ(pool.parallelFor(nullptr, failing, 0, 40, nullptr), -7);
    ASSERT_EQ(pool.parallelFor(nullptr, countTask, 0, 3, reinterpret_cast<uint8_t*>(&counts)), 0);
  }
}

TEST_P(PoolThreads, ALoopWithinATaskRuns) {
  Pool pool;
  pool.setThreads(GetParam());
  struct Closure {
    Pool* pool;
    Counts counts;
  } closure{&pool, {}};
  auto outer = [](void*, int, uint8_t* data) {
    auto* self = reinterpret_cast<Closure*>(data);
    return self->pool->parallelFor(nullptr, countTask, 0, 10, reinterpret_cast<uint8_t*>(&self->counts));
  };
  ASSERT_EQ(pool.parallelFor(nullptr, outer, 0, 8, reinterpret_cast<uint8_t*>(&closure)), 0);
  EXPECT_EQ(closure.counts.runs[9].load(), 8);
}

INSTANTIATE_TEST_SUITE_P(Threads, PoolThreads, testing::Values(1, 2, 3, 8));

TEST(Pool, LoopsOfTwoThreadsAtOnceDoNotMix) {
  Pool pool;
  pool.setThreads(2);
  auto many = [&] {
    Counts counts;
    for (int loop = 0; loop < 2000; ++loop) {
      pool.parallelFor(nullptr, countTask, 0, 10, reinterpret_cast<uint8_t*>(&counts));
    }
    EXPECT_EQ(counts.runs[0].load(), 2000);
    EXPECT_EQ(counts.runs[9].load(), 2000);
  };
  std::thread other(many);
  many();
  other.join();
}

TEST(Pool, ShortLoopsStayWithTheCallerWhileHandingOverTakesLong) {
  Pool pool;
  pool.setThreads(2);
  auto note = [&](int64_t nanoseconds) {
    for (int i = 0; i < 16; ++i) { // workers may have noted some of their own
      pool.noteHandover(nanoseconds);
    }
  };
  note(5000);
  ASSERT_EQ(pool.handover(), 5000);
  struct Closure {
    std::thread::id caller = std::this_thread::get_id();
    int pause = 0;                        // microseconds
    std::atomic<int> all = 0, others = 0; // tasks; those of the worker
  } closure;
  auto task = [](void*, int, uint8_t* data) {
    auto* self = reinterpret_cast<Closure*>(data);
    usleep(static_cast<useconds_t>(self->pause));
    ++self->all;
    self->others += std::this_thread::get_id() != self->caller ? 1 : 0;
    return 0;
  };
  auto run = [&](int size) { return pool.parallelFor(nullptr, task, 0, size, reinterpret_cast<uint8_t*>(&closure)); };
  auto empty = [](void*, int, uint8_t* data) {
    auto* self = reinterpret_cast<Closure*>(data);
    self->others += std::this_thread::get_id() != self->caller ? 1 : 0;
    return 0;
  };
  for (int loop = 0; loop < 200; ++loop) {
    ASSERT_EQ(pool.parallelFor(nullptr, empty, 0, 4, reinterpret_cast<uint8_t*>(&closure)), 0);
  }
  EXPECT_EQ(closure.others.load(), 0);

  closure.pause = 100; // long ones do not, once their time is known
  ASSERT_EQ(run(8), 0);
  EXPECT_EQ(closure.others.load(), 0);
  int loops = 1;
  for (; closure.others.load() == 0 && loops < 1000; ++loops) {
    ASSERT_EQ(run(8), 0);
  }
  EXPECT_GT(closure.others.load(), 0);
  EXPECT_EQ(closure.all.load(), loops * 8);

  note(50);
  EXPECT_LE(pool.handover(), 50);
}

TEST(KernelMemory, BlocksAreAlignedAndTheSameInEachStep) {
  void* before[2] = {};
  for (int step = 0; step < 5; ++step) {
    void* a = halide_malloc(nullptr, 1000);
    void* b = halide_malloc(nullptr, 3000000);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(a) % 128, 0u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(b) % 128, 0u);
    std::memset(a, 1, 1000);
    std::memset(b, 2, 3000000);
    EXPECT_EQ(static_cast<char*>(a)[999], 1);
    if (step > 2) { // the first steps say how much there must be: `c` has no place in the second one
      EXPECT_EQ(a, before[0]);
      EXPECT_EQ(b, before[1]);
    }
    before[0] = a;
    before[1] = b;
    halide_free(nullptr, a);
    void* c = halide_malloc(nullptr, 500); // not in the place of `a`, which is below `b`
    EXPECT_NE(c, b);
    std::memset(c, 3, 500);
    EXPECT_EQ(static_cast<char*>(b)[2999999], 2);
    halide_free(nullptr, b);
    halide_free(nullptr, c);
    halide_free(nullptr, nullptr);
  }
}

TEST(KernelMemory, AfterSomeStepsNoPageIsNewWhateverTheOrderOfGivingBack) {
  constexpr size_t bytes = 1 << 20;
  for (int step = 0; step < 6; ++step) {
    rusage before{}, after{};
    getrusage(RUSAGE_THREAD, &before);
    void* a = halide_malloc(nullptr, bytes);
    std::memset(a, 1, bytes);
    void* b = halide_malloc(nullptr, 1000);
    halide_free(nullptr, a); // below `b`: its place stays empty
    void* c = halide_malloc(nullptr, bytes);
    std::memset(c, 1, bytes);
    halide_free(nullptr, b);
    void* d = halide_malloc(nullptr, bytes);
    std::memset(d, 1, bytes);
    halide_free(nullptr, c);
    halide_free(nullptr, d);
    getrusage(RUSAGE_THREAD, &after);
    if (step > 4) {
      EXPECT_LT(after.ru_minflt - before.ru_minflt, 16);
    }
  }
}

TEST(KernelMemory, ManyLiveBlocksDoNotOverlap) {
  std::vector<char*> blocks;
  for (int i = 0; i < 30; ++i) {
    blocks.push_back(static_cast<char*>(halide_malloc(nullptr, 64 * static_cast<size_t>(i + 1))));
    std::memset(blocks.back(), i, 64 * static_cast<size_t>(i + 1));
  }
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(blocks[static_cast<size_t>(i)][64 * i + 63], i);
    halide_free(nullptr, blocks[static_cast<size_t>(i)]);
  }
}

TEST(Cpus, AtLeastOne) { EXPECT_GE(availableCpus(), 1); }

TEST(Cpus, VersionTwoQuotaIsTheSmallestOnTheWayUp) {
  test::TemporaryFolder folder;
  std::filesystem::create_directories(folder.path("a/b"));
  test::writeText(folder.path("a/cpu.max"), "150000 100000\n");
  test::writeText(folder.path("a/b/cpu.max"), "max 100000\n");
  EXPECT_DOUBLE_EQ(cgroupCpuQuota("0::/a/b\n", folder.path("")), 1.5);
  EXPECT_DOUBLE_EQ(cgroupCpuQuota("0::/\n", folder.path("")), 0);
}

TEST(Cpus, VersionOneQuotaOfTheCpuController) {
  test::TemporaryFolder folder;
  std::filesystem::create_directories(folder.path("cpu,cpuacct/x"));
  test::writeText(folder.path("cpu,cpuacct/x/cpu.cfs_quota_us"), "300000\n");
  test::writeText(folder.path("cpu,cpuacct/x/cpu.cfs_period_us"), "100000\n");
  std::string groups = "5:memory:/x\n4:cpu,cpuacct:/x\n0::/\n";
  EXPECT_DOUBLE_EQ(cgroupCpuQuota(groups, folder.path("")), 3);
  test::writeText(folder.path("cpu,cpuacct/x/cpu.cfs_quota_us"), "-1\n");
  EXPECT_DOUBLE_EQ(cgroupCpuQuota(groups, folder.path("")), 0);
}

TEST(Memory, TheSmallestLimitOfBothVersions) {
  test::TemporaryFolder folder;
  std::filesystem::create_directories(folder.path("a/b"));
  std::filesystem::create_directories(folder.path("memory/x"));
  test::writeText(folder.path("a/memory.max"), "1048576\n");
  test::writeText(folder.path("a/b/memory.max"), "max\n");
  test::writeText(folder.path("memory/x/memory.limit_in_bytes"), "9223372036854771712\n");
  EXPECT_DOUBLE_EQ(cgroupMemoryLimit("0::/a/b\n", folder.path("")), 1048576);
  EXPECT_DOUBLE_EQ(cgroupMemoryLimit("5:memory:/x\n", folder.path("")), 0) << "none";
  EXPECT_GT(availableMemory(), 0u);
}

} // namespace
} // namespace dnn::runtime
