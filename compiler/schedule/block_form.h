// Kernels that can run block by block: sums over the places of an image, and what is made of them and of each place,
// while the image is in the cache. The statistics of batch norm, and the sums of its gradient, are two-step sums whose
// first step has this form (split_sums.cpp); so are instance norm and the mean over all places.
#pragma once

#include "compiler/schedule/analysis.h"
#include "compiler/schedule/machine.h"

#include <optional>
#include <vector>

namespace dnn::schedule {

/// Every value of the kernel is over [rows, block, columns] (wide) or [rows, columns] (small), and reads the others at
/// its own row alone.
struct BlockForm {
  size_t rows = 0;                    ///< how many dims, the first ones, count blocks
  std::vector<const graph::Op*> wide; ///< elementwise
  std::vector<const graph::Op*> sums; ///< reductions over the block
  std::vector<const graph::Op*> small;
  std::vector<Dim> wideDims, smallDims;
};

/// Indices with the same extents, one by one.
bool sameExtents(const std::vector<graph::IndexVar>& a, const std::vector<graph::IndexVar>& b);

/// The form of a kernel, if it has it: comps only; at least one sum; columns that vectors can run along; blocks that
/// fit into the second cache, and so many that two passes over all of them would not stay in it.
std::optional<BlockForm> blockForm(const Analysis& analysis, const Machine& machine);

} // namespace dnn::schedule
