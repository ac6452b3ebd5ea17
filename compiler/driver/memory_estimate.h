// What a program's executable, or `dnnc run`, will hold in memory at most, known before anything is trained.
#pragma once

#include "compiler/graph/graph.h"
#include "runtime/plan/plan.h"

#include <cstdint>

namespace dnn::driver {

struct MemoryEstimate {
  uint64_t program = 0;    ///< code, runtime and C library
  uint64_t persistent = 0; ///< parameters and states
  uint64_t arena = 0;      ///< everything else of a step, an evaluation, …
  uint64_t scratch = 0;    ///< what kernels take while they run
  uint64_t data = 0;       ///< the examples, with what is needed besides while they are loaded
  uint64_t checkpoint = 0; ///< the image of a checkpoint while it is written

  uint64_t total() const { return program + persistent + arena + scratch + data + checkpoint; }
  /// Of a process that also holds the compiler. Kernels are compiled in another one.
  uint64_t totalOfRun() const { return total() + compiler; }

  /// Measured: what `dnnc run` has resident besides, of its own code, LLVM and the syntax tree.
  static constexpr uint64_t compiler = 28'000'000;
};

/// The plan has its offsets and sizes; `scratch` is known from the schedules. Files that cannot be read count nothing: a run says what is wrong with them.
MemoryEstimate estimateMemory(const plan::Plan& plan, const graph::Module& module, uint64_t scratch);

} // namespace dnn::driver
