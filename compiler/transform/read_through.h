// Reading through a comp: the element of its result as an expression over its own operands.
#pragma once

#include "compiler/algebra/builder.h"
#include "compiler/graph/affine.h"

#include <functional>
#include <optional>

namespace dnn::transform {

/// A comp without a reduction: each element is one evaluation of the body.
bool isElementwise(const graph::Op& op);

/// The user's body with each access to `value` replaced by the body of the comp that defines it, with `operands` as the
/// operands it counts. none if some access has a fill value, or if a read of the defining comp can then no longer be
/// proved in range.
struct ReadThrough {
  graph::ExprRef body = nullptr;
  std::vector<graph::Value*> operands;
};
std::optional<ReadThrough> readThrough(const algebra::Builder& b, const graph::Op& user, const graph::Value& value,
                                       std::span<const Symbol> symbols);

/// The distinct access nodes of `value` in the op's body; subscripts of other accesses count, `at` does not.
std::vector<graph::ExprRef> accessesOf(const graph::Op& user, const graph::Value& value);

} // namespace dnn::transform
