// How much arithmetic a function is.
#pragma once

#include "compiler/graph/graph.h"

#include <span>

namespace dnn::driver {

/// Floating point operations of one call with the largest batch: each scalar operator counts one at each point, and so
/// does each point that a reduction combines. Saturates.
uint64_t floatOperations(const graph::Function& function);

/// The same for the ops of a block, with the symbols' values given.
double floatOperations(const graph::Block& block, std::span<const int64_t> symbols);

} // namespace dnn::driver
