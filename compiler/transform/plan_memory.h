// Decides where every value of every function lies: persistent tensors in one region, everything else in one arena that
// all functions share. Works on fused functions: what computes is in groups, what is outside is inputs, persistents,
// reshapes, updates and outputs.
//
//   update @w = %w1          %w1 escapes from group G
//     in place   G reads the old w only at the element that it writes, and nobody reads it later   (optimizers)
//     direct     G does not read the old w, and nobody reads it later                              (init, batch
//     statistics) copied     anything else: %w1 lies in the arena and is copied when the function ends
//
// "Later" is ours to choose: readers of the old value are moved before G where no dependence forbids it.
#pragma once

#include "compiler/transform/memory_plan.h"
#include "compiler/transform/roots.h"

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace dnn::transform {

/// How the updates of one function reach their persistent tensors.
struct UpdatePlacement {
  /// For groups with an in-place escape: for each escape the operand that it overwrites. Guaranteed about a marked
  /// operand: every op of the group that depends on it is a comp without a reduction that reads it, or what was
  /// computed from it, at exactly the element it writes; and every escape that depends on it is itself in place.
  std::unordered_map<const graph::Op*, std::vector<std::optional<uint32_t>>> inPlace;
  /// Escapes that are written straight into the persistent tensor of this path, those in place included.
  std::unordered_map<const graph::Value*, std::string> direct;
};

/// Chooses for each update, and reorders the function's ops so that what was chosen is right.
UpdatePlacement placeUpdates(graph::Function& function);

using UpdatePlacements = std::unordered_map<const graph::Function*, UpdatePlacement>;
/// placeUpdates for every function that is an entry.
UpdatePlacements placeUpdates(graph::Module& module);

/// Offsets for every entry function of the module. Buffers whose lives overlap do not overlap in memory, so no group's
/// input shares memory with its output unless it is in place; inputs live from the start to the end of the call,
/// outputs until its end. Greedy: largest first, each into the lowest gap that fits.
MemoryPlan planMemory(const graph::Module& module, const UpdatePlacements& placements);

/// For `dnnc emit memory`: each buffer's life (positions in the function's op order), offset and size; copies; the peak
/// and its lower bound.
std::string print(const MemoryPlan& plan, const graph::Module& module);

} // namespace dnn::transform
