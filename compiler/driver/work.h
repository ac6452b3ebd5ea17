// How much arithmetic a function is.
#pragma once

#include "compiler/graph/graph.h"

namespace dnn::driver {

/// Floating point operations of one call with the largest batch: each scalar operator counts one at each point, and so
/// does each point that a reduction combines. Saturates.
uint64_t floatOperations(const graph::Function& function);

} // namespace dnn::driver
