// The symbols that compiled kernels import, besides libm: see runtime/include/dnn/abi.h.
#include "runtime/pool/kernel_abi.h"

#include "runtime/pool/pool.h"

#include <cstddef>
#include <cstdlib>
#include <sys/mman.h>

namespace {

// Kernels ask for the same few scratch sizes in every step, so each thread keeps its last blocks instead of giving them
// back: a large block from malloc would be mapped, faulted in and unmapped every time.
constexpr size_t alignment = 128;
constexpr size_t largePage = size_t{2} << 20;
constexpr int kept = 8;

struct Block {
  size_t bytes; // usable
};

struct Cache {
  Block* blocks[kept] = {};
  int next = 0;

  ~Cache() {
    for (Block* block : blocks) {
      std::free(block);
    }
  }
};

thread_local Cache cache;

} // namespace

extern "C" {

int halide_do_par_for(void* context, dnn::runtime::Pool::Task task, int min, int size, uint8_t* closure) {
  return dnn::runtime::Pool::global().parallelFor(context, task, min, size, closure);
}

void* halide_malloc(void*, size_t bytes) {
  for (Block*& block : cache.blocks) {
    // Not a block much larger than asked for: it would be missing where it fits.
    if (block != nullptr && block->bytes >= bytes && block->bytes <= 2 * bytes + 4096) {
      Block* found = block;
      block = nullptr;
      return reinterpret_cast<char*>(found) + alignment;
    }
  }
  size_t unit = bytes >= largePage ? largePage : alignment;
  size_t whole = (bytes + alignment + unit - 1) / unit * unit, rounded = whole - alignment;
  auto* block = static_cast<Block*>(std::aligned_alloc(unit, whole));
  if (block == nullptr) {
    return nullptr;
  }
  if (unit == largePage) {
    madvise(block, whole, MADV_HUGEPAGE); // only a hint: copies of matrices are read across many pages
  }
  block->bytes = rounded;
  return reinterpret_cast<char*>(block) + alignment;
}

void halide_free(void*, void* pointer) {
  if (pointer == nullptr) {
    return;
  }
  auto* block = reinterpret_cast<Block*>(static_cast<char*>(pointer) - alignment);
  for (Block*& slot : cache.blocks) {
    if (slot == nullptr) {
      slot = block;
      return;
    }
  }
  std::free(cache.blocks[cache.next]);
  cache.blocks[cache.next] = block;
  cache.next = (cache.next + 1) % kept;
}
}
