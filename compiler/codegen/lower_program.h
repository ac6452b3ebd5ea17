// Everything between the fused graph and the kernels' machine code that needs neither Halide nor LLVM.
#pragma once

#include "compiler/support/result.h"
#include "compiler/transform/outline_kernels.h"
#include "runtime/plan/plan.h"

#include <string>

namespace dnn::codegen {

struct LoweredProgram {
  transform::KernelTable kernels;
  transform::MemoryPlan memory;
  plan::Plan plan; ///< with offsets, sizes and fingerprint
};

/// Identifies the network: a checkpoint fits every program with the same persistent tensors and the same meaning of
/// tokens, whatever its data, its learning rates or its machine.
std::string fingerprintOf(const plan::Plan& plan);

/// Places updates, outlines kernels and plans memory. Inputs that no op reads are added to the entries, so that every
/// port of the plan has memory.
LoweredProgram lowerProgram(graph::Module& module, plan::Plan plan);

} // namespace dnn::codegen
