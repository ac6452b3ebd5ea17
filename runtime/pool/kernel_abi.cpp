// The symbols that compiled kernels import, besides libm: see runtime/include/dnn/abi.h.
#include "runtime/pool/kernel_abi.h"

#include "runtime/pool/pool.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <sys/mman.h>

namespace {

// Kernels ask for scratch memory in every step and give it back before they end, mostly last come first. Each thread
// has one region for that, as large as the most that was needed at a time, with what had been given back below blocks
// in use: what the next kernel gets has been faulted in, and a part of it is still in the cache. Until the region is so
// large, what does not fit is mapped by itself, and kept for the next block: the tasks of a loop ask for the same
// again.
constexpr size_t alignment = 128;
constexpr size_t largePage = size_t{2} << 20;

struct alignas(alignment) Block { // in front of what the kernel gets
  Block* below;                   // in the region, or in the list of spare ones
  size_t bytes;                   // with this header
  bool inRegion;
  bool inUse;
};
static_assert(sizeof(Block) == alignment);

/// Not from malloc, which keeps in the heap of the thread what was given back.
char* map(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<char*>(memory);
}

class Scratch {
public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  ~Scratch() {
    unmapRegion();
    unmapSpare();
  }

  void* take(size_t bytes) {
    size_t whole = sizeof(Block) + (bytes + alignment - 1) / alignment * alignment;
    if (whole < bytes) {
      return nullptr;
    }
    most_ = std::max(most_, used_ + beside_ + whole);
    if (whole > size_ && used_ == 0 && beside_ == 0) {
      grow();
    }
    if (whole > size_ - used_) { // until nothing is in use, when the region can become larger
      Block* block = takeSpare(whole);
      if (block == nullptr) {
        return nullptr;
      }
      beside_ += block->bytes;
      block->inUse = true;
      return block + 1;
    }
    auto* block = reinterpret_cast<Block*>(region_ + used_);
    *block = {top_, whole, true, true};
    used_ += whole;
    top_ = block;
    return block + 1;
  }

  void give(void* pointer) {
    Block* block = static_cast<Block*>(pointer) - 1;
    block->inUse = false;
    if (!block->inRegion) {
      beside_ -= block->bytes;
      block->below = spare_;
      spare_ = block;
    }
    for (; top_ != nullptr && !top_->inUse; top_ = top_->below) {
      used_ -= top_->bytes;
    }
    if (used_ == 0 && beside_ == 0 && most_ > size_) {
      grow();
    }
  }

private:
  /// A block that is not in the region, of at least so many bytes; null if there is no memory.
  Block* takeSpare(size_t bytes) {
    for (Block** at = &spare_; *at != nullptr; at = &(*at)->below) {
      if (Block* block = *at; block->bytes >= bytes) {
        *at = block->below;
        return block;
      }
    }
    auto* block = reinterpret_cast<Block*>(map(bytes));
    if (block != nullptr) {
      *block = {nullptr, bytes, false, false};
    }
    return block;
  }

  void unmapSpare() {
    while (spare_ != nullptr) {
      Block* block = spare_;
      spare_ = block->below;
      munmap(block, block->bytes);
    }
  }

  /// To twice the size at least, in which what no kernel needs costs nothing, because each time all of it is faulted in
  /// anew.
  void grow() {
    unmapRegion();
    unmapSpare();
    size_t wanted = std::max(most_, 2 * size_);
    mapped_ = wanted >= largePage ? (wanted + 2 * largePage - 1) / largePage * largePage : wanted;
    memory_ = map(mapped_);
    size_ = memory_ == nullptr ? 0 : wanted; // without memory each block is taken by itself
    region_ = memory_;
    if (memory_ != nullptr && wanted >= largePage) {
      region_ += (largePage - reinterpret_cast<uintptr_t>(memory_) % largePage) % largePage;
      madvise(region_, size_, MADV_HUGEPAGE); // only a hint: copies of matrices are read across many pages
    }
  }

  void unmapRegion() {
    if (memory_ != nullptr) {
      munmap(memory_, mapped_);
    }
  }

  char* memory_ = nullptr; // as mapped
  size_t mapped_ = 0;
  char* region_ = nullptr; // in it, at a large page
  size_t size_ = 0, used_ = 0;
  Block* top_ = nullptr;   // the last one in the region
  Block* spare_ = nullptr; // not in the region, not in use
  size_t beside_ = 0;      // bytes of blocks that are not in the region
  size_t most_ = 0;        // that there was at a time, in the region and beside it
};

thread_local Scratch scratch;

} // namespace

extern "C" {

int halide_do_par_for(void* context, dnn::runtime::Pool::Task task, int min, int size, uint8_t* closure) {
  return dnn::runtime::Pool::global().parallelFor(context, task, min, size, closure);
}

void* halide_malloc(void*, size_t bytes) { return scratch.take(bytes); }

void halide_free(void*, void* pointer) {
  if (pointer != nullptr) {
    scratch.give(pointer);
  }
}
}
