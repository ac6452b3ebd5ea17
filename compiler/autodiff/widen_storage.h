// Makes f32 of all 16-bit floats of a module, and drops the conversions between the two: the same formula without its
// roundings, which is what a finite difference can be compared with.
#pragma once

#include "compiler/graph/graph.h"

namespace dnn::autodiff {

void widenStorage(graph::Module& module);

} // namespace dnn::autodiff
