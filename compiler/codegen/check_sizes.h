// What the graph may say and compiled code cannot do: tensors with 2^31 elements or more, because kernels index with 32
// bits.
#pragma once

#include "compiler/graph/graph.h"

namespace dnn::codegen {

/// The error names the tensor's type and where in the source it comes from.
Status checkSizes(const graph::Module& module);

} // namespace dnn::codegen
