// Floats of 16 bits. bf16 is the upper half of an f32: its range, 8 bits of precision. f16 is binary16 of IEEE 754: 11
// bits of precision, 65504 at most. Widening is exact; narrowing rounds to the nearest, halves to the even one, and
// what is larger than the largest one by half a step becomes infinite. A NaN stays one, with its sign and the upper
// bits of its payload.
#pragma once

#include "runtime/types/dtype.h"

#include <bit>
#include <cstdint>

namespace dnn {

inline float fromBf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

inline uint16_t toBf16(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) {
    return static_cast<uint16_t>(bits >> 16 | 0x40U); // the payload's upper bits may all be 0
  }
  return static_cast<uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

inline float fromF16(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000U) << 16;
  uint32_t exponent = bits >> 10 & 0x1fU;
  uint32_t fraction = bits & 0x3ffU;
  if (exponent == 0) {
    float size = static_cast<float>(fraction) * 0x1p-24F; // zero or subnormal, exact
    return std::bit_cast<float>(std::bit_cast<uint32_t>(size) | sign);
  }
  if (exponent == 0x1f) {
    uint32_t quiet = fraction != 0 ? 0x400000U : 0U;
    return std::bit_cast<float>(sign | 0x7f800000U | fraction << 13 | quiet);
  }
  return std::bit_cast<float>(sign | (exponent + 112U) << 23 | fraction << 13);
}

inline uint16_t toF16(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  uint32_t sign = bits >> 16 & 0x8000U;
  uint32_t size = bits & 0x7fffffffU;
  if (size > 0x7f800000U) {
    return static_cast<uint16_t>(sign | 0x7e00U | (size >> 13 & 0x3ffU));
  }
  constexpr uint32_t smallestNormal = 0x38800000U; // 2^-14
  constexpr uint32_t tooLarge = 0x477ff000U;       // 65520 and more
  if (size >= tooLarge) {
    return static_cast<uint16_t>(sign | 0x7c00U);
  }
  if (size < smallestNormal) {
    // 0.5 has steps of 2^-24 behind it, as the subnormal numbers do; the sum rounds.
    float shifted = std::bit_cast<float>(size) + 0.5F;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000U));
  }
  uint32_t rounded = size + 0xfffU + (size >> 13 & 1U);
  return static_cast<uint16_t>(sign | ((rounded >> 13) - (112U << 10)));
}

/// An element of such a tensor, for code that is written for every type of element.
template <uint16_t narrow(float), float widen(uint16_t)> struct Half {
  uint16_t bits = 0;

  Half() = default;
  template <class T> explicit Half(T value) : bits(narrow(static_cast<float>(value))) {}
  template <class T> explicit operator T() const { return static_cast<T>(widen(bits)); }
};
using Bf16 = Half<toBf16, fromBf16>;
using F16 = Half<toF16, fromF16>;

/// Of BF16 and F16.
inline uint16_t toBits(DType type, float value) { return type == DType::BF16 ? toBf16(value) : toF16(value); }
inline float fromBits(DType type, uint16_t bits) { return type == DType::BF16 ? fromBf16(bits) : fromF16(bits); }
/// The value that an f32 has when it is stored into a tensor of this type: itself in an f32.
inline float rounded(DType type, float value) {
  return isStorageOnly(type) ? fromBits(type, toBits(type, value)) : value;
}

} // namespace dnn
