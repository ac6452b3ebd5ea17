// A small, fixed hash for names and cache keys: FNV-1a with a final mix, the same on every machine and in every build.
// Whoever must be sure compares the hashed text too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dnn {

constexpr uint64_t hash64(std::string_view bytes, uint64_t seed = 0xcbf29ce484222325ULL) {
  uint64_t h = seed;
  for (char c : bytes) {
    h = (h ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  }
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccdULL;
  h ^= h >> 33;
  h *= 0xc4ceb9fe1a85ec53ULL;
  return h ^ (h >> 33);
}

/// 16 lower-case hexadecimal digits.
inline std::string hex16(uint64_t value) {
  std::string text(16, '0');
  for (size_t i = 0; i < 16; ++i) {
    text[15 - i] = "0123456789abcdef"[(value >> (4 * i)) & 15];
  }
  return text;
}

} // namespace dnn
