// Kernels to machine code: from the cache, or by Halide and LLVM in a process of their own.
//
// Halide's library, what it allocates and what it does when it fails stay out of the process that goes on to train:
// a program's memory is then the program's, whether its kernels were cached or not. The child is forked, so it sees the
// graph as it is and nothing has to be sent to it; it compiles on several threads, longest kernels first, keeps what it
// makes in the cache, and sends it back through a pipe.
#pragma once

#include "compiler/codegen/compile.h"
#include "compiler/schedule/kernel.h"
#include "compiler/schedule/schedule.h"
#include "compiler/support/result.h"

#include <span>
#include <string>
#include <vector>

namespace dnn::codegen {

/// One kernel with everything that determines its code.
struct KernelTask {
  const schedule::Kernel* kernel = nullptr;
  std::string name;
  schedule::Schedule schedule;
};

struct CompiledKernels {
  std::vector<schedule::KernelObject> objects; ///< in the order of the tasks
  size_t cached = 0;                           ///< of these, taken from the cache
  std::string cacheProblem;                    ///< why the cache folder was not used; "" if it was
};

/// Reports the time of each kernel to `options.observe`. An error is a limit or a fault of the back end, never of the
/// user's program.
Result<CompiledKernels> compileKernels(std::span<const KernelTask> tasks, const schedule::Machine& machine,
                                       const CompileOptions& options);

/// The versions of everything that makes code of a kernel and its schedule.
std::string kernelCompilerIdentity();

} // namespace dnn::codegen
