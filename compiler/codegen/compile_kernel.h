// One kernel from its schedule to its object, in this process: lowered by Halide, then compiled by LLVM.
#pragma once

#include "compiler/codegen/halide/lower_kernel.h"
#include "compiler/codegen/llvm/emit_kernel.h"

namespace dnn::codegen {

/// `lower`: lowerKernels itself, or as halideBackend() offers it.
inline Result<schedule::KernelObject> compileKernel(decltype(&lowerKernels) lower, const schedule::Kernel& kernel,
                                                    const schedule::Schedule& schedule,
                                                    const schedule::Machine& machine, const KernelOptions& options,
                                                    const std::string& name) {
  KernelRequest request{&kernel, &schedule, name};
  Result<std::vector<LoweredKernel>> lowered = lower({&request, 1}, machine, options);
  if (!lowered) {
    return lowered.error();
  }
  Result<std::vector<uint8_t>> bytes = kernelObject(*lowered->front().bitcode, name);
  if (!bytes) {
    return bytes.error();
  }
  return schedule::KernelObject{name, std::move(lowered->front().args), std::move(*bytes)};
}

/// Assembly text, for `dnnc emit asm`.
inline Result<std::string> assembleKernel(decltype(&lowerKernels) lower, const schedule::Kernel& kernel,
                                          const schedule::Schedule& schedule, const schedule::Machine& machine,
                                          const std::string& name) {
  KernelRequest request{&kernel, &schedule, name};
  Result<std::vector<LoweredKernel>> lowered = lower({&request, 1}, machine, {});
  return lowered ? kernelAssembly(*lowered->front().bitcode, name) : lowered.error();
}

} // namespace dnn::codegen
