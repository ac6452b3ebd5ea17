// Reverse mode on one scalar expression: given the adjoint of its value, the adjoints of the tensor elements it reads.
#pragma once

#include "compiler/algebra/builder.h"
#include "compiler/support/result.h"

#include <functional>
#include <vector>

namespace dnn::autodiff {

using algebra::Builder;
using graph::ExprPool;
using graph::ExprRef;

/// guard ? value : 0 is what one access node contributes; no guard = always. The guard stays apart so that the value
/// may be infinite or NaN where the guard is false.
struct AccessAdjoint {
  ExprRef access = nullptr;
  ExprRef guard = nullptr;
  ExprRef value = nullptr;
};

/// Which accesses are of tensors that the differentiated values reach.
using IsVaried = std::function<bool(ExprRef access)>;

/// Whether the value of e depends on a varied access in any way but through stop_grad and through subscripts.
bool isVaried(ExprRef e, const IsVaried& varied);

/// `seed` is the adjoint of body, `value` an expression for body's own value that is cheaper than body (nullptr: none).
/// strict: a path through an operator without a derivative is an error, whose message says which; else such a path
/// counts as constant (code that differentiation itself made, whose steps are derivatives of kinks).
Result<std::vector<AccessAdjoint>> scalarAdjoint(const Builder& b, ExprRef body, ExprRef seed, ExprRef value,
                                                 const IsVaried& varied, bool strict);

} // namespace dnn::autodiff
