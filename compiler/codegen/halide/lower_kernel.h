// Kernel + schedule → LLVM code, by Halide. This room obeys the schedule and decides nothing.
//
// Each call builds its own pipeline, so calls from different threads do not disturb each other.
#pragma once

#include "compiler/schedule/kernel.h"
#include "compiler/schedule/schedule.h"
#include "compiler/support/result.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dnn::codegen {

struct KernelOptions {
  /// Checks at run time that every buffer is as the kernel function says and that no access leaves one; a failed check
  /// calls halide_error functions, which the host must supply. For tests.
  bool checked = false;
};

/// One kernel to lower.
struct KernelRequest {
  const schedule::Kernel* kernel = nullptr;
  const schedule::Schedule* schedule = nullptr;
  std::string name;
};

/// Bitcode that defines the function `name`, beside others that were lowered with it, as Halide writes it down: not
/// optimised, with all of its runtime library around. compiler/codegen/llvm/emit_kernel.h makes an object of it.
struct LoweredKernel {
  std::string name;
  std::vector<schedule::KernelArg> args;
  std::shared_ptr<const std::vector<uint8_t>> bitcode;
  double seconds = 0; ///< that this one took, without what it shares with others
};

/// Says which kernel comes next, until there is none.
using NextKernel = std::function<std::optional<KernelRequest>()>;

/// In the order of the requests. All at once share what Halide does for each of its modules, about 13 ms: there is one
/// for them, or two where some have strict operations. What is made of a kernel does not depend on the others. An error
/// is a limit or a fault of Halide, never of the user's program.
Result<std::vector<LoweredKernel>> lowerKernels(const NextKernel& next, const schedule::Machine& machine,
                                                const KernelOptions& options);

/// The loops that the schedule makes, for `dnnc emit halide`.
Result<std::string> loopNest(const schedule::Kernel& kernel, const schedule::Schedule& schedule,
                             const schedule::Machine& machine, const std::string& name);

/// The version of Halide, part of cache keys.
std::string halideVersion();

} // namespace dnn::codegen
