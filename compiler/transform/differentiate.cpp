#include "compiler/autodiff/expand_grads.h"
#include "compiler/transform/pass_manager.h"

namespace dnn::transform {

Result<Changed> differentiate(graph::Module& module) {
  Result<bool> changed = autodiff::expandGrads(module);
  if (!changed) {
    return changed.error();
  }
  return *changed ? Changed::Yes : Changed::No;
}

} // namespace dnn::transform
