// The bitcode of a kernel → machine code: what Halide wrote is reduced to what the kernel calls, improved by the few
// passes that matter for loops whose form the schedule has fixed, and selected.
#pragma once

#include "compiler/support/result.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace dnn::codegen {

/// The kernels `names` of the bitcode with what they call, as bitcode: what Halide writes is mostly its runtime
/// library, which takes longer to read for each kernel than a small kernel to compile.
Result<std::vector<uint8_t>> reachedBitcode(std::span<const uint8_t> bitcode, std::span<const std::string> names);

/// Makes code of kernels, one at a time: one emitter for each thread.
class KernelEmitter {
public:
  KernelEmitter();
  ~KernelEmitter();

  /// A relocatable, position independent ELF object that exports `name` and nothing else. The bitcode may come from an
  /// older LLVM and names the processor.
  Result<std::vector<uint8_t>> object(std::span<const uint8_t> bitcode, const std::string& name);
  /// The same as text, for `dnnc emit asm`.
  Result<std::string> assembly(std::span<const uint8_t> bitcode, const std::string& name);

private:
  class Machine;
  std::unique_ptr<Machine> machine_; ///< that of the last kernel: making one takes a millisecond
};

/// Names LLVM's version and the passes: the same code for the same bitcode while it is the same. Part of cache keys.
std::string kernelPassesIdentity();

} // namespace dnn::codegen
