// One kernel with operands of its own, compiled by several plans and ready to run.
#pragma once

#include "compiler/schedule/candidates.h"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace dnn::bench {

class KernelSet {
public:
  /// All elements are f32. The function outlives this; its symbols have their largest values.
  explicit KernelSet(schedule::Kernel kernel);
  ~KernelSet();
  KernelSet(const KernelSet&) = delete;

  const schedule::Kernel& kernel() const { return kernel_; }
  /// Compiles and loads; an error message or nothing. With a folder the code stays there and is found the next time.
  std::string compile(const schedule::Machine& machine, const schedule::Schedule& schedule,
                      const std::string& folder = {});
  /// Whether some code was not found in a folder: it is new, and nobody has looked at what it computes.
  bool isNew() const { return isNew_; }
  /// Number of plans that were compiled.
  size_t size() const { return codes_.size(); }
  void run(size_t number) const;

  /// Operands hold multiples of 1/8 from -1 to 1, so that direct sums of fewer than 262144 products are exact.
  std::span<const float> operand(size_t number) const;
  std::span<const float> result(size_t number) const;

private:
  struct Buffer;
  using Code = int (*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

  schedule::Kernel kernel_;
  std::vector<std::unique_ptr<Buffer>> operands_, results_;
  void* memory_ = nullptr;
  size_t bytes_ = 0;
  bool isNew_ = false;
  std::vector<Code> codes_;
  std::vector<std::array<uint64_t, 6>> arguments_;
  std::vector<void*> libraries_;

  void allocate();
};

/// The schedule, the loop nest and the assembly, to look at.
std::string textOf(const schedule::Kernel& kernel, const schedule::Machine& machine,
                   const schedule::Schedule& schedule);

} // namespace dnn::bench
