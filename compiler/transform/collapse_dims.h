// Neighbouring dimensions of a kernel that are always read and written together become one.
//
//   %z = comp [n, g:4, k:256] add [j:256] { mul(%h[n, j], %w[j, g, k]) }
//   →
//   %z = comp [n, gk:1024] add [j:256] { mul(%h[n, j], %w[j, gk]) }
//
// Tensors are row-major, so that the elements stay where they are and nothing is copied. What stands in several small
// dimensions for the reader is one long one for the schedules: the gates of a recurrent layer, the heads of attention,
// the examples and places of a sequence in a dense layer. Two dimensions are merged where every op has a pair of
// indices of its own for them, next to each other and over their whole extents, that it uses for nothing else.
#pragma once

#include "compiler/graph/graph.h"

#include <utility>
#include <vector>

namespace dnn::transform {

/// For each dimension of the new type, how many neighbouring ones of the old type it stands for.
using MergedDims = std::vector<uint32_t>;

struct CollapsedKernel {
  std::vector<MergedDims> inputs;
  std::vector<MergedDims> returns;
};

/// Two values of the kernel that are one buffer, so that they have the same extents.
using SameBuffer = std::pair<const graph::Value*, const graph::Value*>;

/// `kernel`: a function of inputs, `env`, comps and returns; others stay as they are.
CollapsedKernel collapseDims(graph::Function& kernel, const std::vector<SameBuffer>& buffers);

/// The extents after merging.
std::vector<Dim> mergedExtents(const std::vector<Dim>& dims, const MergedDims& merged);

} // namespace dnn::transform
