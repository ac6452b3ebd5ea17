#include "runtime/data/row_files.h"

#include "runtime/support/resources.h"

namespace dnn::runtime {

uint64_t heldBytes(const std::vector<Column>& fields) {
  uint64_t bytes = 0;
  for (const Column& column : fields) {
    bytes += column.bytes.size() + column.starts.size() * sizeof(uint64_t);
  }
  return bytes;
}

void KeptRows::added() {
  bool were = all_;
  all_ = all_ && (!canStay_ || heldBytes(fields_) <= memory_);
  for (Column& column : fields_) {
    if (!all_ && !column.lengths) {
      column.clear();
    }
    if (were && !all_ && !column.lengths) {
      column.bytes.shrink_to_fit();
      column.starts.shrink_to_fit();
    }
  }
}

uint64_t defaultDataMemory() { return availableMemory() / 4; }

} // namespace dnn::runtime
