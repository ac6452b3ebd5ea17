#include "runtime/support/extent.h"

namespace dnn::runtime {

bool elementCount(const std::vector<int64_t>& dims, uint64_t& count) {
  constexpr uint64_t most = uint64_t{1} << 62;
  count = 1;
  bool empty = false;
  for (int64_t dim : dims) {
    if (dim < 0) {
      return false;
    }
    if (dim == 0) {
      empty = true;
    } else if (count > most / static_cast<uint64_t>(dim)) {
      return false;
    } else {
      count *= static_cast<uint64_t>(dim);
    }
  }
  count = empty ? 0 : count;
  return true;
}

uint64_t byteCount(plan::DType dtype, const std::vector<int64_t>& dims) {
  uint64_t count = 0;
  return elementCount(dims, count) ? count * static_cast<uint64_t>(plan::byteSize(dtype)) : 0;
}

std::vector<int64_t> rowDims(const plan::Port& port, int64_t rows, const std::vector<int64_t>& lengths) {
  std::vector<int64_t> dims = port.dims;
  for (const plan::VaryingExtent& extent : port.varying) {
    dims[extent.dim] = extent.constant;
    for (const plan::VaryingExtent::Term& term : extent.terms) {
      dims[extent.dim] += term.factor * (term.symbol == 0 ? rows : lengths[term.symbol - 1]);
    }
  }
  return dims;
}

} // namespace dnn::runtime
