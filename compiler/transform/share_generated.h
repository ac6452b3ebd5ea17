// Initial values of any size and scale are made by one kernel.
//
//   %w = comp [i:400, j:120] { mul(0.07, normal(site 5; 120*i + j, 0)) }       func @k_9f… helper [s0 <= 131072] {
//                                                                                %0 = input "0" : f32[]
//   group { %c = comp [] { 0.07 } }                                       →      %1 = comp [i0:s0] {
//   group { %w = comp [i:400, j:120] { mul(%c[], normal(…)) } }                    mul(%0[], normal(site 0; i0, 0)) }
//                                                                                return %1 }
//
// Layers differ in their sizes and in numbers that follow from them, so that each would have a kernel of its own, which
// takes longer to compile than to run.
#pragma once

#include "compiler/graph/graph.h"

#include <cstdint>
#include <optional>

namespace dnn::transform {

/// In functions that make initial values: where the elements of a tensor are a function of draws at their own places,
/// of places and of f32 numbers, the numbers become scalars, which need no kernel. Before outline-kernels.
void separateNumbers(graph::Module& module);

/// A kernel that makes each element of one tensor of scalars and of the element's number in row-major order gets any
/// number of elements, the value of its only symbol. Returns how many these were; nothing for other kernels.
std::optional<uint32_t> makeAnySize(graph::Function& kernel);

} // namespace dnn::transform
