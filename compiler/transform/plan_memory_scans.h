// Memory of the bodies of scans. Private to the memory plan.
#pragma once

#include "compiler/transform/memory_plan.h"

#include <memory>
#include <unordered_map>
#include <unordered_set>

namespace dnn::transform {

/// What the steps of a scan need besides its results is one buffer of the block around the scan, used anew in each
/// step: values that only the body uses, the step's number, the second buffers of carries, and the same for scans in
/// it.
class ScanPlanner {
public:
  ScanPlanner(const graph::Function& function, const Roots& roots);

  /// Plans the body; returns its bytes.
  uint64_t plan(const graph::Op& scan);
  /// Enters the slots of the body into the plan, when the place of its buffer is known.
  void fill(const graph::Op& scan, uint64_t offset, FunctionMemory& memory) const;

private:
  struct Body {
    ScanPlacement placement;
    std::vector<ArenaBuffer> buffers;
    std::unordered_map<const graph::Value*, size_t> bufferOf; // of roots
    std::vector<size_t> others;                               // by carry
  };

  const graph::Function& function_;
  const Roots& roots_;
  std::unordered_map<const graph::Op*, Body> bodies_;
  std::unordered_set<const graph::Value*> moving_; // roots whose address changes from step to step

  void addMoving(const graph::Op& scan, const ScanPlacement& placement);
};

} // namespace dnn::transform
