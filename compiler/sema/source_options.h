// What the readers of data sources share.
#pragma once

#include "compiler/types/tensor_type.h"
#include "runtime/plan/plan.h"

#include <string>

namespace dnn::sema {

/// A field whose type is found in the files.
inline plan::Port field(const std::string& name, int64_t bound = 0) {
  plan::Port port;
  port.name = name;
  port.bound = bound;
  return port;
}

/// The type of one example's field.
TensorType rowType(const plan::Port& port);

/// Which of the examples a source takes.
inline bool isRowOption(const std::string& name) {
  return name == "split" || name == "split_seed" || name == "fold" || name == "folds";
}

} // namespace dnn::sema
