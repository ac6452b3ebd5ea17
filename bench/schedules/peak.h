// What the multiply-add units of one core can do.
#pragma once

#include <algorithm>
#include <chrono>

namespace dnn::bench {

inline double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Floating-point operations a second of one core that does nothing but fused multiply-adds in registers.
template <int bytes> double peak() {
  constexpr long rounds = 1500;
  double best = 0;
  for (int repetition = 0; repetition < 3; ++repetition) {
    double start = seconds();
    long left = rounds;
    if constexpr (bytes == 64) {
      asm volatile("1:\n"
                   "vfmadd231ps %%zmm12, %%zmm13, %%zmm0\nvfmadd231ps %%zmm12, %%zmm13, %%zmm1\n"
                   "vfmadd231ps %%zmm12, %%zmm13, %%zmm2\nvfmadd231ps %%zmm12, %%zmm13, %%zmm3\n"
                   "vfmadd231ps %%zmm12, %%zmm13, %%zmm4\nvfmadd231ps %%zmm12, %%zmm13, %%zmm5\n"
                   "vfmadd231ps %%zmm12, %%zmm13, %%zmm6\nvfmadd231ps %%zmm12, %%zmm13, %%zmm7\n"
                   "vfmadd231ps %%zmm12, %%zmm13, %%zmm8\nvfmadd231ps %%zmm12, %%zmm13, %%zmm9\n"
                   "vfmadd231ps %%zmm12, %%zmm13, %%zmm10\nvfmadd231ps %%zmm12, %%zmm13, %%zmm11\n"
                   "dec %0\njnz 1b\n"
                   : "+r"(left)::"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                     "xmm10", "xmm11", "cc");
    } else {
      asm volatile("1:\n"
                   "vfmadd231ps %%ymm12, %%ymm13, %%ymm0\nvfmadd231ps %%ymm12, %%ymm13, %%ymm1\n"
                   "vfmadd231ps %%ymm12, %%ymm13, %%ymm2\nvfmadd231ps %%ymm12, %%ymm13, %%ymm3\n"
                   "vfmadd231ps %%ymm12, %%ymm13, %%ymm4\nvfmadd231ps %%ymm12, %%ymm13, %%ymm5\n"
                   "vfmadd231ps %%ymm12, %%ymm13, %%ymm6\nvfmadd231ps %%ymm12, %%ymm13, %%ymm7\n"
                   "vfmadd231ps %%ymm12, %%ymm13, %%ymm8\nvfmadd231ps %%ymm12, %%ymm13, %%ymm9\n"
                   "vfmadd231ps %%ymm12, %%ymm13, %%ymm10\nvfmadd231ps %%ymm12, %%ymm13, %%ymm11\n"
                   "dec %0\njnz 1b\n"
                   : "+r"(left)::"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                     "xmm10", "xmm11", "cc");
    }
    best = std::max(best, rounds * 12.0 * 2 * (bytes / 4) / (seconds() - start));
  }
  return best;
}

} // namespace dnn::bench
