// Scalar operators as Halide expressions. f32 functions vectorise: they are polynomials after an exact reduction of the
// argument, accurate to a few units in the last place and right at the extremes (see docs/kernels.md for each). f64 and
// what has no short series (lgamma, sin, cos, pow) call libm.
#pragma once

#include "compiler/types/scalar_op.h"

#include "Halide.h"

#include <vector>

namespace dnn::codegen {

/// Bool operands and results are Halide's UInt(1).
Halide::Expr applyScalar(ScalarOp op, const std::vector<Halide::Expr>& args);

/// The same where an operand is the constant infinity or NaN: Halide makes x of (x + inf) - inf.
Halide::Expr applyToInfinite(ScalarOp op, const std::vector<Halide::Expr>& args);

/// Comparison by IEEE 754 whatever Halide assumes about floats otherwise: false where an operand is not a number.
Halide::Expr lessThan(const Halide::Expr& a, const Halide::Expr& b);
/// The larger or smaller; NaN where one of them is, for use in reductions.
Halide::Expr maxPropagating(const Halide::Expr& a, const Halide::Expr& b);
Halide::Expr minPropagating(const Halide::Expr& a, const Halide::Expr& b);

Halide::Expr exp32(const Halide::Expr& x);
/// The same in fewer instructions, for x ≤ 1 or NaN.
Halide::Expr expNotPositive32(const Halide::Expr& x);
Halide::Expr log32(const Halide::Expr& x);
/// cos(2π·turns) for turns in [0, 1).
Halide::Expr cosTurns32(const Halide::Expr& turns);

} // namespace dnn::codegen
