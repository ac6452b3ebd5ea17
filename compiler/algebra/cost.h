// What an expression costs to evaluate once a point, in units of one addition. Rough: it ranks rewritings.
#pragma once

#include "compiler/graph/expr.h"

namespace dnn::algebra {

/// Distinct nodes count once. Float arithmetic and reads count; subscripts only if they read.
int cost(graph::ExprRef e);

/// Of one operation on floats that are at hand.
int cost(ScalarOp op);

/// Contains exp, log, a root, a power, or another operator that costs tens of additions.
bool isExpensive(graph::ExprRef e);

} // namespace dnn::algebra
