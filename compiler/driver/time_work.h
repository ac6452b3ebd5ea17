// What each kernel of a step has to do, counted from the graph: the least that any implementation must compute and
// move.
#pragma once

#include "compiler/graph/graph.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace dnn::driver {

struct KernelWork {
  std::string kernel;               ///< its name: groups of equal name share one kernel
  std::string what;                 ///< the largest op: "contraction f32[64, 128] over 784"
  std::vector<std::string> sources; ///< "mlp.dnn:7": where the ops come from, each once
  int64_t calls = 1;                ///< in a step of training: more in the body of a scan
  double flops = 0;                 ///< floating point operations of one call
  double bytesRead = 0;             ///< of tensors outside of the kernel, every element that it needs once
  double bytesWritten = 0;
  double bytes() const { return bytesRead + bytesWritten; }
  double workingSet = 0; ///< bytes of memory that are read or written: what is updated in place counts once
};

/// One for each group of the function, those in the bodies of scans too, in the order of the code. The groups carry
/// their kernels' names (see outline_kernels.h). `symbols` are the values of the function's symbols.
std::vector<KernelWork> kernelWorks(const graph::Function& function, std::span<const int64_t> symbols);

} // namespace dnn::driver
