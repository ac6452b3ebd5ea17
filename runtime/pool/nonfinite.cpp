#include "runtime/pool/kernel_abi.h"

#include <algorithm>
#include <cstring>

namespace {

// A float is finite unless all exponent bits are set. As integers, so that it vectorises and no float option can remove
// it. One function for all instruction sets, inlined into a version for each.
template <class Bits>
__attribute__((always_inline)) inline uint32_t countSet(const void* data, int64_t count, Bits mask) {
  uint32_t found = 0;
  auto* bytes = static_cast<const uint8_t*>(data);
  for (int64_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, bytes + i * static_cast<int64_t>(sizeof bits), sizeof bits);
    found += (bits & mask) == mask ? 1u : 0u;
  }
  return found;
}

#if defined(__x86_64__)
template <class Bits>
__attribute__((target("avx2"))) uint32_t countSetAvx2(const void* data, int64_t count, Bits mask) {
  return countSet(data, count, mask);
}
#endif

template <class Bits> uint32_t countSetBaseline(const void* data, int64_t count, Bits mask) {
  return countSet(data, count, mask);
}

template <class Bits> uint32_t countNonfinite(const Bits* data, int64_t count, Bits exponent) {
#if defined(__x86_64__)
  static const bool avx2 = __builtin_cpu_supports("avx2") != 0;
  auto* countBlock = avx2 ? countSetAvx2<Bits> : countSetBaseline<Bits>;
#else
  auto* countBlock = countSetBaseline<Bits>;
#endif
  constexpr int64_t block = int64_t{1} << 30; // so that the sum of one block fits
  uint64_t found = 0;
  for (int64_t at = 0; at < count; at += block) {
    found += countBlock(data + at, std::min(block, count - at), exponent);
  }
  return static_cast<uint32_t>(std::min<uint64_t>(found, UINT32_MAX));
}

} // namespace

extern "C" uint32_t dnn_count_nonfinite_f32(const float* data, int64_t count) {
  return countNonfinite(reinterpret_cast<const uint32_t*>(data), count, uint32_t{0x7F800000});
}

extern "C" uint32_t dnn_count_nonfinite_16(const uint16_t* data, int64_t count, uint16_t exponent) {
  return countNonfinite(data, count, exponent);
}
