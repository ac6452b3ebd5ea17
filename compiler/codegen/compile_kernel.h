// One kernel from its schedule to its object, in this process: lowered by Halide, then compiled by LLVM.
#pragma once

#include "compiler/codegen/halide/lower_kernel.h"
#include "compiler/codegen/llvm/emit_kernel.h"

#include <utility>

namespace dnn::codegen {

/// `lower`: lowerKernels itself, or as halideBackend() offers it.
inline Result<LoweredKernel> lowerKernel(decltype(&lowerKernels) lower, KernelRequest request,
                                         const schedule::Machine& machine, const KernelOptions& options) {
  std::optional<KernelRequest> only = std::move(request);
  auto lowered = lower([&] { return std::exchange(only, std::nullopt); }, machine, options);
  return lowered ? Result<LoweredKernel>(std::move(lowered->front())) : lowered.error();
}

inline Result<schedule::KernelObject> compileKernel(decltype(&lowerKernels) lower, const schedule::Kernel& kernel,
                                                    const schedule::Schedule& schedule,
                                                    const schedule::Machine& machine, const KernelOptions& options,
                                                    const std::string& name) {
  Result<LoweredKernel> lowered = lowerKernel(lower, {&kernel, &schedule, name}, machine, options);
  if (!lowered) {
    return lowered.error();
  }
  Result<std::vector<uint8_t>> bytes = KernelEmitter().object(*lowered->bitcode, name);
  if (!bytes) {
    return bytes.error();
  }
  return schedule::KernelObject{name, std::move(lowered->args), std::move(*bytes)};
}

/// Assembly text, for `dnnc emit asm`.
inline Result<std::string> assembleKernel(decltype(&lowerKernels) lower, const schedule::Kernel& kernel,
                                          const schedule::Schedule& schedule, const schedule::Machine& machine,
                                          const std::string& name) {
  Result<LoweredKernel> lowered = lowerKernel(lower, {&kernel, &schedule, name}, machine, {});
  return lowered ? KernelEmitter().assembly(*lowered->bitcode, name) : lowered.error();
}

} // namespace dnn::codegen
