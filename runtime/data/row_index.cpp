#include "runtime/data/row_index.h"

#include <algorithm>

namespace dnn::runtime {

void RowIndex::add(uint64_t offset) {
  while (wraps_.size() < offset >> 32) {
    wraps_.push_back(low_.size());
  }
  low_.push_back(static_cast<uint32_t>(offset));
}

uint64_t RowIndex::at(uint64_t piece) const {
  auto upper = std::ranges::upper_bound(wraps_, piece) - wraps_.begin();
  return static_cast<uint64_t>(upper) << 32 | low_[piece];
}

} // namespace dnn::runtime
