// Loads compiled kernels and calls them on guarded memory.
#pragma once

#include "compiler/graph/interpreter.h"
#include "compiler/schedule/kernel.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dnn::test {

/// A shared library made of kernel objects with the system's linker, gone with this object.
class LoadedKernels {
public:
  explicit LoadedKernels(const std::vector<schedule::KernelObject>& objects);
  ~LoadedKernels();
  LoadedKernels(const LoadedKernels&) = delete;

  /// The address of the kernel; null if the library could not be made, `error` says why.
  void* find(const std::string& name) const;
  const std::string& error() const { return error_; }

private:
  void* library_ = nullptr;
  std::string error_;
};

struct KernelRun {
  std::vector<graph::Tensor> returns;
  std::vector<std::vector<uint8_t>> bytes; ///< of the returns, for exact comparison
  std::string error;                       ///< what went wrong, or empty
};

/// Calls the kernel with these inputs. Each buffer ends at an unreadable page (up to the 64 bytes that aligned slots
/// are padded to) and has marked bytes around it: a stray write is an error, a stray read far enough a fault. `threads`
/// > 1 runs the pieces of parallel loops on that many threads.
KernelRun runKernel(void* code, const schedule::KernelObject& object, const schedule::Kernel& kernel,
                    const graph::Environment& environment, int threads);

/// Checked kernels report here what they found; empty if nothing. Reading clears it.
std::string takeHalideError();
/// What the checks call; returns the error code of the kernel.
int reportHalideError(const char* what);

} // namespace dnn::test
