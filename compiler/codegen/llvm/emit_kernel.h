// The bitcode of a kernel → machine code: what Halide wrote is reduced to what the kernel calls, improved by the few
// passes that matter for loops whose form the schedule has fixed, and selected.
#pragma once

#include "compiler/support/result.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace dnn::codegen {

/// A relocatable, position independent ELF object that exports `name` and nothing else. The bitcode may come from an
/// older LLVM and names the processor.
Result<std::vector<uint8_t>> kernelObject(std::span<const uint8_t> bitcode, const std::string& name);
/// The same as text, for `dnnc emit asm`.
Result<std::string> kernelAssembly(std::span<const uint8_t> bitcode, const std::string& name);

/// Names LLVM's version and the passes: the same code for the same bitcode while it is the same. Part of cache keys.
std::string kernelPassesIdentity();

} // namespace dnn::codegen
