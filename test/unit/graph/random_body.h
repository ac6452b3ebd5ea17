// Random comps for property tests, and a slow evaluator that shares nothing with the interpreter: it walks the tree for
// each point.
#pragma once

#include "compiler/graph/interpreter.h"

#include <random>

namespace dnn::graph {

/// A module with one helper @f [N <= 5] of inputs x : f32[N, 4], v : f32[6], t : i32[N, 3] < 6 and one comp of one to
/// three indices, with or without a reduction, that is returned. Subscripts have fill values unless they are proved.
std::unique_ptr<Module> randomComp(std::mt19937& random);
/// An integer expression over the op's indices and operands, for range tests.
ExprRef randomInteger(std::mt19937& random, ExprPool& pool, const Op& op, int depth);

struct Scalar {
  double number = 0;
  int64_t integer = 0;
};
/// The value of e at one point of the op's domain.
Scalar evaluateSlowly(ExprRef e, std::span<const int64_t> point, std::span<const Tensor* const> operands,
                      std::span<const int64_t> symbolValues);
/// All elements of the op's result.
Tensor evaluateSlowly(const Op& op, std::span<const Tensor* const> operands, std::span<const int64_t> symbolValues);

} // namespace dnn::graph
