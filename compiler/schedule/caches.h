// What the models of schedules know of caches.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

namespace dnn::schedule {

inline constexpr double lineBytes = 64;
inline constexpr int64_t cacheWays = 8;

/// Bytes of a cache that are of use to rows of `width` bytes that lie `stride` bytes apart: with strides of large
/// powers of two the rows fall into few of its sets.
inline double usableBytes(int64_t cacheBytes, double stride, double width) {
  int64_t sets = std::max<int64_t>(cacheBytes / cacheWays / static_cast<int64_t>(lineBytes), 1);
  int64_t bytes = static_cast<int64_t>(stride), line = static_cast<int64_t>(lineBytes);
  if (bytes <= line || bytes % line != 0) {
    return static_cast<double>(cacheBytes);
  }
  int64_t step = std::gcd(bytes / line, sets);
  double used = static_cast<double>(sets / step) * std::min(static_cast<double>(step), std::ceil(width / lineBytes));
  return used * static_cast<double>(cacheWays) * lineBytes;
}

} // namespace dnn::schedule
