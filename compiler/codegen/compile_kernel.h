// One kernel from its schedule to its object, in this process: lowered by Halide, then compiled by LLVM.
#pragma once

#include "compiler/codegen/halide/lower_kernel.h"
#include "compiler/codegen/llvm/emit_kernel.h"

namespace dnn::codegen {

/// `lower`: lowerKernel itself, or as halideBackend() offers it.
inline Result<schedule::KernelObject> compileKernel(decltype(&lowerKernel) lower, const schedule::Kernel& kernel,
                                                    const schedule::Schedule& schedule,
                                                    const schedule::Machine& machine, const KernelOptions& options,
                                                    const std::string& name) {
  Result<LoweredKernel> lowered = lower(kernel, schedule, machine, options, name);
  if (!lowered) {
    return lowered.error();
  }
  Result<std::vector<uint8_t>> bytes = kernelObject(lowered->bitcode, name);
  if (!bytes) {
    return bytes.error();
  }
  return schedule::KernelObject{name, std::move(lowered->args), std::move(*bytes)};
}

/// Assembly text, for `dnnc emit asm`.
inline Result<std::string> assembleKernel(decltype(&lowerKernel) lower, const schedule::Kernel& kernel,
                                          const schedule::Schedule& schedule, const schedule::Machine& machine,
                                          const std::string& name) {
  Result<LoweredKernel> lowered = lower(kernel, schedule, machine, {}, name);
  return lowered ? kernelAssembly(lowered->bitcode, name) : lowered.error();
}

} // namespace dnn::codegen
