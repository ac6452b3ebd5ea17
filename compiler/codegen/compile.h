// From fused graph to machine code: outline kernels, plan memory, schedule and compile each distinct kernel once, build
// the step functions. The objects are what both the JIT (jit.h) and the linker (llvm/link.h) take.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/schedule/schedule.h"
#include "compiler/support/result.h"
#include "runtime/plan/plan.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace dnn::codegen {

struct CompileOptions {
  std::string target = "host"; ///< "host", "x86-64-v3" or "x86-64-v4"
  schedule::Sums sums = schedule::Sums::Fast;
  int threads = 1;         ///< kernels compiled at the same time
  std::string cacheFolder; ///< compiled kernels on disk, see cache_folder.h; "" = none
  bool checked = false;    ///< kernels that check every access and argument, for tests
  /// Told how long each part took, each kernel included (on the thread that compiled it).
  std::function<void(const std::string& what, double seconds)> observe;
  bool timed = false; ///< make CompiledProgram::timedSteps too
  size_t variant = 0; ///< number of this combination of a sweep
  size_t variants = 1;
};

struct CompiledProgram {
  plan::Plan plan; ///< complete: the one that is encoded in the code
  /// Relocatable ELF objects, the kernels in order of first use, then the step functions with `dnn_module`.
  std::vector<std::vector<uint8_t>> objects;
  /// In the place of objects[kernels]: step functions that measure each call (StepProgram::timed). The calls of an
  /// entry are the groups of its function, in order.
  std::vector<uint8_t> timedSteps;
  size_t kernels = 0;       ///< distinct ones
  size_t cachedKernels = 0; ///< of these, taken from the cache
  std::string cacheProblem; ///< why the cache folder was not used, for a warning; "" if it was
};

/// Compiles a fused module. Its entry functions and the plan's entries are in the same order; the plan lacks only what
/// code generation decides: offsets, sizes, fingerprint, target and compiler version. The module gains helper functions
/// and the ops of its entries are reordered, so it can be compiled once only.
Result<CompiledProgram> compileProgram(graph::Module& module, plan::Plan plan, const CompileOptions& options);

/// What determines the program besides the module, the plan and the options, as a text: the versions of everything that
/// makes code, this program's included, and the machine that `target` means.
Result<std::string> compilerIdentity(const std::string& target);

/// What `dnnc emit` shows of a fused module: buffers with life, offset and size; the schedule of every kernel; their
/// loop nests; the LLVM IR of the step functions; assembly of kernels and step functions. Like compileProgram, once
/// only.
Result<std::string> emitMemory(graph::Module& module, plan::Plan plan);
Result<std::string> emitSchedules(graph::Module& module, plan::Plan plan, const CompileOptions& options);
Result<std::string> emitLoopNests(graph::Module& module, plan::Plan plan, const CompileOptions& options);
Result<std::string> emitLlvm(graph::Module& module, plan::Plan plan, const CompileOptions& options);
Result<std::string> emitAssembly(graph::Module& module, plan::Plan plan, const CompileOptions& options);

/// The most bytes that a kernel of the fused module takes besides its arguments, on `options.threads` threads. Like
/// compileProgram, once only.
Result<uint64_t> scratchBytes(graph::Module& module, plan::Plan plan, const CompileOptions& options);

} // namespace dnn::codegen
