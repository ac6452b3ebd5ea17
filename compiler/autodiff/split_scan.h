// A scan that saves every k-th carry, as a scan over blocks of k steps.
//
//   scan [t:T] save 8 carry(%h = %h0) slice(%x = %xs) { … }
//   →
//   scan [b:T/8] save 1 carry(%h = %h0) slice(%xb = reshape %xs) {
//     scan [t:8] carry(%g = %h) slice(%x = %xb) { … }
//   }
//
// Gradients then keep the carries before each block and compute the steps of one block at a time again.
#pragma once

#include "compiler/graph/graph.h"

namespace dnn::autodiff {

/// Splits every scan of the function with saveEvery > 1, those in other scans too.
void splitScans(graph::Function& function);

} // namespace dnn::autodiff
