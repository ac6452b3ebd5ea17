// Where each of many pieces of a file begins: 4 bytes for each.
#pragma once

#include <cstdint>
#include <vector>

namespace dnn::runtime {

class RowIndex {
public:
  /// The offset of the next piece, not before that of the last one.
  void add(uint64_t offset);
  uint64_t size() const { return low_.size(); }
  uint64_t at(uint64_t piece) const;

private:
  std::vector<uint32_t> low_;
  std::vector<uint64_t> wraps_; // pieces from which on the upper half of the offset is one larger
};

} // namespace dnn::runtime
