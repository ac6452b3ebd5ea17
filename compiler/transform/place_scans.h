// Where the values lie that go from step to step of a scan, so that as little as possible is copied.
//
//   slice     at its step of the sliced tensor
//   emit      whoever makes the value writes it straight to its step of the stacked result
//   carry     in the first step the initial value, then the next of the step before:
//     Own       whoever makes it writes it to one of two buffers in turn, in the last step to the final result
//     Emitted   it is read where it was emitted, and copied to the final result after the last step
//     Copied    it lies elsewhere (another carry, a captured value): copied to one of the two buffers at the step's end
//
// So a body is called with addresses that move, and its kernels know which of their buffers may begin anywhere.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/transform/roots.h"

#include <unordered_set>
#include <vector>

namespace dnn::transform {

struct ScanPlacement {
  enum class Next : uint8_t { Own, Emitted, Copied };
  std::vector<Next> nexts;         ///< by carry
  std::vector<uint32_t> emittedAs; ///< by carry: the number of the emit, for Emitted
  std::vector<bool> emitOwn;       ///< by emit: false where the value lies elsewhere and is copied at the step's end
};

/// For a scan of a fused function.
ScanPlacement placeScan(const graph::Op& scan, const Roots& roots);

/// Values whose memory does not always begin at a multiple of 64 bytes; of the values that share memory, the root.
std::unordered_set<const graph::Value*> unalignedRoots(const graph::Function& function, const Roots& roots);

} // namespace dnn::transform
