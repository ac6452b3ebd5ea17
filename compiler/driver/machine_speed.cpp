#include "compiler/driver/machine_speed.h"

#include "runtime/train/clock.h"

#include <immintrin.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <memory>
#include <new>

namespace dnn::driver {

namespace {

using runtime::secondsNow;

constexpr int64_t kFmaRounds = 20000;
constexpr int kChains = 12; // independent: two units with a latency of four or five cycles want ten

/// kFmaRounds · kChains fused multiply-adds of vectors.
__attribute__((target("avx2,fma"))) void multiplyAdd256() {
  __m256 factor = _mm256_set1_ps(0.5F);
  __m256 sum[kChains];
  for (__m256& s : sum) {
    s = _mm256_set1_ps(1);
  }
  for (int64_t i = 0; i < kFmaRounds; ++i) {
#pragma GCC unroll 12
    for (__m256& s : sum) {
      s = _mm256_fmadd_ps(s, factor, factor);
      asm volatile("" : "+x"(s)); // neither merged with the next one nor dropped
    }
  }
}

__attribute__((target("avx512f"))) void multiplyAdd512() {
  __m512 factor = _mm512_set1_ps(0.5F);
  __m512 sum[kChains];
  for (__m512& s : sum) {
    s = _mm512_set1_ps(1);
  }
  for (int64_t i = 0; i < kFmaRounds; ++i) {
#pragma GCC unroll 12
    for (__m512& s : sum) {
      s = _mm512_fmadd_ps(s, factor, factor);
      asm volatile("" : "+v"(s));
    }
  }
}

/// What happens to the elements of an array. `count` is a multiple of 64, the arrays are aligned to 64 bytes.
enum class Access : uint8_t { Read, Update, Write, Triad };

double bytesPerElement(Access access) {
  switch (access) {
  case Access::Read:
  case Access::Write: return 4;
  case Access::Update: return 8;
  case Access::Triad: return 12;
  }
  return 0;
}

__attribute__((target("avx2,fma"))) void pass(Access access, float* a, const float* b, const float* c, int64_t count) {
  __m256 factor = _mm256_set1_ps(0.5F);
  switch (access) {
  case Access::Read: {
    __m256 sum[8];
    for (__m256& s : sum) {
      s = _mm256_setzero_ps();
    }
    for (int64_t i = 0; i < count; i += 64) {
#pragma GCC unroll 8
      for (int64_t k = 0; k < 8; ++k) {
        sum[k] = _mm256_max_ps(sum[k], _mm256_load_ps(a + i + 8 * k));
      }
    }
    for (__m256& s : sum) {
      asm volatile("" : : "x"(s));
    }
    return;
  }
  case Access::Update:
    for (int64_t i = 0; i < count; i += 64) {
#pragma GCC unroll 8
      for (int64_t k = 0; k < 64; k += 8) {
        _mm256_store_ps(a + i + k, _mm256_fmadd_ps(_mm256_load_ps(a + i + k), factor, factor));
      }
    }
    return;
  case Access::Write:
    for (int64_t i = 0; i < count; i += 64) {
#pragma GCC unroll 8
      for (int64_t k = 0; k < 64; k += 8) {
        _mm256_store_ps(a + i + k, factor);
      }
    }
    return;
  case Access::Triad:
    for (int64_t i = 0; i < count; i += 64) {
#pragma GCC unroll 8
      for (int64_t k = 0; k < 64; k += 8) {
        _mm256_store_ps(a + i + k, _mm256_fmadd_ps(_mm256_load_ps(c + i + k), factor, _mm256_load_ps(b + i + k)));
      }
    }
    return;
  }
}

struct FreeMemory {
  void operator()(float* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<float, FreeMemory>;

class Measurement {
public:
  Measurement(runtime::Pool& pool, SpeedDetail detail) : pool_(pool), detail_(detail), threads_(pool.threads()) {}

  MachineSpeed run() {
    MachineSpeed speed;
    speed.threads = threads_;
    speed.flops = measureFlops();
    uint64_t threads = static_cast<uint64_t>(threads_);
    uint64_t l1 = cacheBytes(1, 32 << 10) * threads;
    uint64_t l2 = cacheBytes(2, 512 << 10) * threads;
    uint64_t l3 = std::max(cacheBytes(3, 8 << 20), 2 * l2);
    // Half of a cache is surely in it; of the last one others have their share, and a virtual machine may have little.
    measureLevel(speed, "L1", l1, l1 / 2);
    measureLevel(speed, "L2", l2, l2 / 2);
    measureLevel(speed, "L3", l3, std::max(l3 / 16, 2 * l2));
    measureLevel(speed, "memory", std::numeric_limits<uint64_t>::max(),
                 std::clamp<uint64_t>(4 * l3, 64 << 20, 1 << 30));
    return speed;
  }

private:
  runtime::Pool& pool_;
  SpeedDetail detail_;
  int threads_;

  /// Of the data cache of this level that the first CPU uses. The kernel's tables: the C library's number for the last
  /// level counts those of other cores too.
  static uint64_t cacheBytes(int level, uint64_t otherwise) {
    for (int index = 0; index < 8; ++index) {
      std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
      int found = 0;
      std::string type;
      uint64_t kilobytes = 0;
      std::ifstream(folder + "level") >> found;
      std::ifstream(folder + "type") >> type;
      if (found == level && type != "Instruction" && std::ifstream(folder + "size") >> kilobytes) {
        return kilobytes << 10;
      }
    }
    return otherwise;
  }

  /// Runs work(thread) on every thread at once. Seconds.
  template <class F> double timeOnAll(F work) {
    double start = secondsNow();
    pool_.parallelFor(
        nullptr,
        [](void*, int thread, uint8_t* closure) {
          (*reinterpret_cast<F*>(closure))(thread);
          return 0;
        },
        0, threads_, reinterpret_cast<uint8_t*>(&work));
    return secondsNow() - start;
  }

  /// The best of repetitions that take about `budget` seconds, at least three.
  template <class F> double best(double budget, F work) {
    double shortest = std::numeric_limits<double>::max();
    double start = secondsNow();
    for (int i = 0; i < 4 || secondsNow() - start < budget; ++i) {
      double seconds = timeOnAll(work);
      if (i > 0) { // the first one warms up
        shortest = std::min(shortest, seconds);
      }
    }
    return shortest;
  }

  double measureFlops() {
    bool wide = __builtin_cpu_supports("avx512f");
    double operations = 2.0 * (wide ? 16 : 8) * kChains * kFmaRounds;
    return threads_ * operations / best(0.05, [wide](int) { wide ? multiplyAdd512() : multiplyAdd256(); });
  }

  void measureLevel(MachineSpeed& speed, const char* name, uint64_t holds, uint64_t bytes) {
    MachineSpeed::Level level{name, holds, bytes};
    level.read = bandwidth(Access::Read, bytes);
    level.update = bandwidth(Access::Update, bytes);
    bool memory = holds == std::numeric_limits<uint64_t>::max();
    if (detail_ == SpeedDetail::All || memory) {
      level.write = bandwidth(Access::Write, bytes);
    }
    if (detail_ == SpeedDetail::All) {
      level.triad = bandwidth(Access::Triad, bytes);
    }
    speed.levels.push_back(level);
  }

  /// Arrays of `bytes` in all, each thread with its own part.
  double bandwidth(Access access, uint64_t bytes) {
    uint64_t arrays = access == Access::Triad ? 3 : 1;
    auto count = static_cast<int64_t>(bytes / (4 * arrays * static_cast<uint64_t>(threads_)) / 64 * 64);
    auto stride = count + 64; // arrays do not start at the same places of their pages
    uint64_t floats = static_cast<uint64_t>(stride) * arrays * static_cast<uint64_t>(threads_);
    if (floats > memoryFloats_) {
      uint64_t size = (4 * floats + 4095) / 4096 * 4096;
      memory_.reset(static_cast<float*>(std::aligned_alloc(4096, size)));
      if (!memory_) {
        throw std::bad_alloc();
      }
      memoryFloats_ = floats;
      std::fill_n(memory_.get(), floats, 1.0F);
    }
    // As many passes as take some 100 µs where the caches are fast.
    int64_t passes = std::max<int64_t>(1, (int64_t{1} << 20) / std::max<int64_t>(count, 1));
    float* base = memory_.get();
    // Others share the memory's speed, so that it changes from one hundredth of a second to the next.
    double seconds = best(passes > 1 ? 0.02 : 0.06, [=](int thread) {
      float* a = base + thread * stride * static_cast<int64_t>(arrays);
      for (int64_t i = 0; i < passes; ++i) {
        pass(access, a, a + stride, a + 2 * stride, count);
      }
    });
    double elements = static_cast<double>(count) * threads_ * static_cast<double>(passes);
    return elements * bytesPerElement(access) / seconds;
  }

  Memory memory_;
  uint64_t memoryFloats_ = 0;
};

} // namespace

double MachineSpeed::secondsFor(double onlyRead, double onlyWritten, double updated) const {
  double bytes = onlyRead + onlyWritten + updated;
  auto holds = std::ranges::find_if(levels, [&](const Level& l) { return bytes <= static_cast<double>(l.holds); });
  if (&*holds == &levels.back()) {
    return onlyRead / holds->read + onlyWritten / holds->write + 2 * updated / holds->update;
  }
  return (bytes + updated) / std::max(holds->read, holds->update);
}

MachineSpeed measureMachine(runtime::Pool& pool, SpeedDetail detail) { return Measurement(pool, detail).run(); }

} // namespace dnn::driver
