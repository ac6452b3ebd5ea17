#include "compiler/transform/plan_memory_buffers.h"

#include <algorithm>

namespace dnn::transform {

namespace {

constexpr uint64_t alignment = 64;

bool overlapInTime(const ArenaBuffer& a, const ArenaBuffer& b) { return a.first <= b.last && b.first <= a.last; }

} // namespace

uint64_t aligned(uint64_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

uint64_t bytesFor(const TensorType& type, std::span<const Symbol> symbols) {
  uint64_t count = 1;
  for (const Dim& extent : type.dims) {
    count *= static_cast<uint64_t>(extent.max(symbols));
  }
  return count * static_cast<uint64_t>(byteSize(type.dtype));
}

uint64_t placeBuffers(std::vector<ArenaBuffer>& buffers) {
  std::vector<ArenaBuffer*> order;
  for (ArenaBuffer& b : buffers) {
    order.push_back(&b);
  }
  std::ranges::stable_sort(order, [](const ArenaBuffer* a, const ArenaBuffer* b) { return a->bytes > b->bytes; });
  std::vector<ArenaBuffer*> placed; // by offset
  uint64_t peak = 0;
  for (ArenaBuffer* b : order) {
    uint64_t at = 0;
    for (const ArenaBuffer* other : placed) {
      if (overlapInTime(*b, *other)) {
        if (at + aligned(b->bytes) <= other->offset) {
          break;
        }
        at = std::max(at, other->offset + aligned(other->bytes));
      }
    }
    b->offset = at;
    peak = std::max(peak, at + aligned(b->bytes));
    auto where = std::ranges::upper_bound(placed, at, {}, [](const ArenaBuffer* p) { return p->offset; });
    placed.insert(where, b);
  }
  return peak;
}

uint64_t mostAliveAtOnce(const std::vector<ArenaBuffer>& buffers, size_t positions) {
  std::vector<uint64_t> alive(positions);
  for (const ArenaBuffer& b : buffers) {
    for (size_t i = b.first; i <= b.last; ++i) {
      alive[i] += aligned(b.bytes);
    }
  }
  return std::ranges::max(alive);
}

} // namespace dnn::transform
