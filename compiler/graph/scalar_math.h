// The scalar operators in f64 and in 64-bit integers, as the language defines them.
#pragma once

#include "compiler/types/dtype.h"

#include <cmath>
#include <cstdint>
#include <limits>

namespace dnn::graph {

/// The first of equals; NaN if either is NaN.
inline double smaller(double x, double y) { return y < x || std::isnan(y) ? y : x; }
inline double larger(double x, double y) { return y > x || std::isnan(y) ? y : x; }

/// ψ(x) = d/dx ln Γ(x). Reflection for x < 0, recurrence up to 10, then the asymptotic series (Abramowitz & Stegun
/// 6.3.7, 6.3.5, 6.3.18); relative error below 1e-14. NaN at the poles 0, -1, -2, …
inline double digamma(double x) {
  constexpr double pi = 3.14159265358979323846;
  if (x <= 0 && x == std::floor(x)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (x < 0) {
    return digamma(1 - x) - pi / std::tan(pi * x);
  }
  double shift = 0;
  for (; x < 10; x += 1) {
    shift -= 1 / x;
  }
  double r = 1 / (x * x);
  double series =
      r * (1.0 / 12 - r * (1.0 / 120 - r * (1.0 / 252 - r * (1.0 / 240 - r * (1.0 / 132 - r * (691.0 / 32760))))));
  return shift + std::log(x) - 0.5 / x - series;
}

/// ln |Γ(x)|; the C library's lgamma writes a global, lgamma_r does not.
inline double logGamma(double x) {
  int sign = 0;
  return ::lgamma_r(x, &sign);
}

/// Floor division; by 0 it is 0. For a negative divisor the remainder is still not negative.
inline int64_t divideFloor(int64_t a, int64_t b) {
  if (b == 0) {
    return 0;
  }
  if (b == -1) {
    return static_cast<int64_t>(0 - static_cast<uint64_t>(a)); // the one quotient that can overflow
  }
  int64_t quotient = a / b;
  int64_t remainder = a % b;
  return remainder < 0 ? quotient - (b > 0 ? 1 : -1) : quotient;
}

inline int64_t remainderFloor(int64_t a, int64_t b) {
  if (b == 0 || b == -1) {
    return 0;
  }
  int64_t remainder = a % b;
  return remainder < 0 ? remainder + (b > 0 ? b : -b) : remainder;
}

/// Truncates; what has no value in the type (NaN, too large) becomes its smallest value.
inline int64_t truncate(double value, DType dtype) {
  double low = 0;
  double high = 0;
  switch (dtype) {
  case DType::U8: high = 256.0; break;
  case DType::U32: high = 4294967296.0; break;
  case DType::I32: low = -2147483648.0, high = 2147483648.0; break;
  case DType::I64:
  case DType::Bool:
  case DType::F32:
  case DType::F64:
  case DType::BF16:
  case DType::F16: low = -9223372036854775808.0, high = 9223372036854775808.0; break;
  }
  double whole = std::trunc(value);
  if (whole >= low && whole < high) {
    return static_cast<int64_t>(whole);
  }
  return low == 0 ? 0 : static_cast<int64_t>(low);
}

} // namespace dnn::graph
