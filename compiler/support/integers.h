// Arithmetic on whole numbers.
#pragma once

#include <cstdint>

namespace dnn {

/// The smallest multiple of `step` (> 0) that is at least `value` (≥ 0).
constexpr int64_t roundUp(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

} // namespace dnn
