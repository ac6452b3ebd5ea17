// The scalar operators on numbers.
#pragma once

#include "compiler/types/dtype.h"
#include "compiler/types/scalar_op.h"

#include <cstdint>
#include <optional>
#include <span>

namespace dnn::algebra {

/// Whether `value` is 0 or a number that a float of this type (f32 or f64) holds with all its bits: neither infinite,
/// nor NaN, nor denormal. Of other factors no product may be made beforehand: 1e30·(1e30·x) may be finite.
bool isNormal(double value, DType dtype);

/// The value of a float operator with a float result; none for an operator without an exact definition here (lgamma,
/// digamma).
std::optional<double> evaluate(ScalarOp op, std::span<const double> args);

/// The truth of a comparison of floats or integers, or of a logical operator on 0 and 1; none for other operators.
template <class T> std::optional<bool> evaluateTruth(ScalarOp op, std::span<const T> args);

} // namespace dnn::algebra
