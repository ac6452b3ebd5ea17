#include "runtime/pool/kernel_abi.h"

#include <algorithm>
#include <cstring>

namespace {

// A float is finite unless all exponent bits are set. As integers, so that it vectorises and no float option can remove
// it. One function for all instruction sets, inlined into a version for each.
__attribute__((always_inline)) inline uint32_t countNonfinite(const float* data, int64_t count) {
  uint32_t found = 0;
  for (int64_t i = 0; i < count; ++i) {
    uint32_t bits;
    std::memcpy(&bits, data + i, sizeof bits);
    found += (bits & 0x7F800000u) == 0x7F800000u ? 1u : 0u;
  }
  return found;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) uint32_t countNonfiniteAvx2(const float* data, int64_t count) {
  return countNonfinite(data, count);
}
#endif

uint32_t countNonfiniteBaseline(const float* data, int64_t count) { return countNonfinite(data, count); }

} // namespace

extern "C" uint32_t dnn_count_nonfinite_f32(const float* data, int64_t count) {
#if defined(__x86_64__)
  static const bool avx2 = __builtin_cpu_supports("avx2") != 0;
  auto* countBlock = avx2 ? countNonfiniteAvx2 : countNonfiniteBaseline;
#else
  auto* countBlock = countNonfiniteBaseline;
#endif
  constexpr int64_t block = int64_t{1} << 30; // so that the sum of one block fits
  uint64_t found = 0;
  for (int64_t at = 0; at < count; at += block) {
    found += countBlock(data + at, std::min(block, count - at));
  }
  return static_cast<uint32_t>(std::min<uint64_t>(found, UINT32_MAX));
}
