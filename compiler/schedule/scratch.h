// How much memory a kernel takes while it runs, besides its arguments: what its schedule computes into buffers.
#pragma once

#include "compiler/schedule/schedule.h"

namespace dnn::schedule {

struct Scratch {
  int64_t shared = 0;    ///< bytes that there are once in a call
  int64_t perThread = 0; ///< bytes that there are once for each thread that works on it
};

/// Buffers of the whole result of a stage, and of blocks of windows and packed operands; tiles in registers and lines
/// between two stages of a vector count nothing.
Scratch scratchOf(const Kernel& kernel, const Schedule& schedule);

} // namespace dnn::schedule
