#include "runtime/pool/kernel_abi.h"

#include <algorithm>
#include <vector>

namespace {

/// A multiplicative hash, of which the highest bits are the best ones.
uint32_t hashOf(int32_t key) { return static_cast<uint32_t>(key) * 2654435769u; }

} // namespace

extern "C" void dnn_distinct(const int32_t* keys, int64_t count, int32_t* places, int32_t* rows, int32_t* found) {
  // Open addressing: 0 is a free cell, else 1 + the number of a distinct key. At most half of the cells are taken.
  thread_local std::vector<int32_t> cells;
  int bits = 1;
  while ((int64_t{1} << bits) < 2 * count) {
    ++bits;
  }
  cells.assign(size_t{1} << bits, 0); // keeps its memory from call to call
  uint32_t mask = (uint32_t{1} << bits) - 1;
  int32_t number = 0;
  for (int64_t i = 0; i < count; ++i) {
    uint32_t cell = hashOf(keys[i]) >> (32 - bits);
    while (cells[cell] != 0 && rows[cells[cell] - 1] != keys[i]) {
      cell = (cell + 1) & mask;
    }
    if (cells[cell] == 0) {
      rows[number] = keys[i];
      cells[cell] = ++number;
    }
    places[i] = cells[cell] - 1;
  }
  std::fill(rows + number, rows + count, 0);
  *found = number;
}
