// Proofs about integers: the interval of an expression over all values of its indices and of the batch.
#pragma once

#include "compiler/sema/function_builder.h"

#include <optional>

namespace dnn::sema {

/// lo ≤ value ≤ hi, both linear in the symbols; none where nothing is known.
struct Interval {
  std::optional<Dim> lo;
  std::optional<Dim> hi;
};

/// Affine forms are exact in each index; floor division and remainder by constants, min, max, `if` and elements of
/// bounded tensors are intervals of their own.
Interval intervalOf(const ScalarPtr& value, const FunctionBuilder& function);

/// a ≤ b for all values of the symbols.
bool provedAtMost(const Dim& a, const Dim& b, std::span<const Symbol> symbols);

} // namespace dnn::sema
