// The scalar operators on numbers.
#pragma once

#include "compiler/types/scalar_op.h"

#include <cstdint>
#include <optional>
#include <span>

namespace dnn::algebra {

/// The value of a float operator with a float result; none where the compiler should not decide: a result that is not
/// finite, or an operator without an exact definition here (lgamma, digamma).
std::optional<double> evaluate(ScalarOp op, std::span<const double> args);

/// The truth of a comparison of floats or integers, or of a logical operator on 0 and 1; none for other operators.
template <class T> std::optional<bool> evaluateTruth(ScalarOp op, std::span<const T> args);

} // namespace dnn::algebra
