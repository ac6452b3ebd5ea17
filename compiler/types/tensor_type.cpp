#include "compiler/types/tensor_type.h"

namespace dnn {

std::string TensorType::str(std::span<const Symbol> symbols) const {
  std::string text(nameOf(dtype));
  if (!dims.empty()) {
    text += "[";
    for (size_t i = 0; i < dims.size(); ++i) {
      text += (i ? ", " : "") + dims[i].str(symbols);
    }
    text += "]";
  }
  if (bound) {
    text += " < " + bound->str(symbols);
  }
  return text;
}

} // namespace dnn
