// Makes a helper function of each group: what is compiled as one kernel.
//
//   %2 = group contraction { %0 = comp … %x … }      func @k_9f… helper [s0 <= 64] {
//                                                →     %0 = input "0" : f32[s0, 64]
//                                                      …
//                                                      return %2
//                                                    }
//
// Everything that does not matter is made canonical: names of values and indices, locations, the numbering of symbols
// and of the sites of draws, which a kernel gets as arguments: layers that differ only in their random numbers share.
// So identical groups give identical text and share one kernel, whatever the program calls its things. The kernel's
// name is a hash of the text. Dimensions that always go together are one (collapse_dims.h). The group stays as it is
// (the interpreter still runs it) and carries the name in `symbol`. `env` operands are not passed: the kernel has the
// env op itself.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/schedule/kernel.h"
#include "compiler/transform/collapse_dims.h"
#include "compiler/transform/pass_manager.h"
#include "compiler/transform/plan_memory.h"

#include <optional>
#include <unordered_map>
#include <vector>

namespace dnn::transform {

/// How a group calls its kernel. The outputs are the group's escapes, in order.
struct KernelCall {
  uint32_t kernel = 0;                     ///< index into KernelTable::kernels
  std::vector<const graph::Value*> inputs; ///< the kernel's inputs, in order
  std::vector<SymbolId> symbols;           ///< for each symbol of the kernel, the caller's symbol
  std::optional<uint32_t> size;            ///< of a kernel for any size: the value of its only symbol
  std::vector<uint32_t> sites;             ///< for each site of the kernel's draws, the caller's site
  CollapsedKernel dims;                    ///< what the kernel's dimensions are of those of its inputs and outputs
};

struct KernelTable {
  std::vector<schedule::Kernel> kernels;                  ///< each distinct one once, in order of first use
  std::unordered_map<const graph::Op*, KernelCall> calls; ///< of every group but those in `fills`
  /// Groups that only write one constant to every element of their result: that takes no kernel.
  std::unordered_map<const graph::Op*, graph::ExprRef> fills;
};

/// Adds the helpers to the module. The placements say which escapes are in place: kernels that differ in that differ.
KernelTable outlineKernels(graph::Module& module, const UpdatePlacements& placements);

} // namespace dnn::transform
