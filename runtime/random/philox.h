// The random numbers of the language: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). Counter based: a draw is a pure function of where it stands, so it does not depend on threads, on
// recomputation or on compile order. Compiled kernels, the f64 interpreter and the runtime compute exactly this:
//
//   counter = {lo, hi, site, step}     key = {low half of seed, high half of seed}
//     lo    row-major linear index over the coordinates with a static extent (0 if there are none)
//     hi    row-major linear index over the coordinates with a symbolic extent, the batch (0 if there are none)
//     site  number of the draw in the program
//     step  number of the optimisation step, from 0
//   x = philox4x32(counter, key)
//   uniform   = (x[0] >> 8) · 2⁻²⁴                                       in [0, 1), exact in f32
//   normal    = sqrt(-2 ln u1) · cos(2π u2)                              Box–Muller
//     u1 = ((x[0] >> 8) + 1) · 2⁻²⁴ in (0, 1],  u2 = (x[1] >> 8) · 2⁻²⁴ in [0, 1)
//   bernoulli(p) = uniform < p
//
// The stream is part of the language: changing it changes the result of every program.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace dnn::runtime {

using PhiloxBlock = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

constexpr PhiloxBlock philox4x32(PhiloxBlock counter, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    uint64_t a = uint64_t{0xD2511F53} * counter[0];
    uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

constexpr PhiloxKey philoxKey(uint64_t seed) {
  return {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
}

constexpr PhiloxBlock drawBits(uint64_t seed, uint32_t step, uint32_t site, uint32_t lo, uint32_t hi) {
  return philox4x32({lo, hi, site, step}, philoxKey(seed));
}

/// In [0, 1), a multiple of 2⁻²⁴: exact in f32.
constexpr double drawUniform(uint64_t seed, uint32_t step, uint32_t site, uint32_t lo, uint32_t hi) {
  return (drawBits(seed, step, site, lo, hi)[0] >> 8) * 0x1p-24;
}

/// Mean 0, variance 1.
inline double drawNormal(uint64_t seed, uint32_t step, uint32_t site, uint32_t lo, uint32_t hi) {
  PhiloxBlock x = drawBits(seed, step, site, lo, hi);
  double u1 = ((x[0] >> 8) + 1) * 0x1p-24;
  double u2 = (x[1] >> 8) * 0x1p-24;
  return std::sqrt(-2.0 * std::log(u1)) * std::cos(6.283185307179586 * u2);
}

} // namespace dnn::runtime
