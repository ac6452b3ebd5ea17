// Each thread has lists of free blocks, one for each size class, and takes new blocks from spans of one region that all
// threads cut up together. A block goes to the list of the thread that frees it, so there are no locks. What is large,
// or aligned to more than 16 bytes, is malloc's.
#include "compiler/support/object_memory.h"

#ifdef DNN_SANITIZED // sanitizers have operators of their own

void dnn::keepObjectMemory() {}

#else

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

namespace {

constexpr size_t regionBytes = size_t{4} << 30; ///< of addresses; memory is what is touched
constexpr size_t spanBytes = size_t{32} << 10;  ///< each has blocks of one class
constexpr size_t step = 16, fineBytes = 1024;   ///< classes are multiples of `step` up to `fineBytes`, …
constexpr size_t largestBytes = 8192;           ///< … then four for each power of two
constexpr size_t fineClasses = fineBytes / step;
constexpr size_t classes = fineClasses + 4 * (std::bit_width(largestBytes) - std::bit_width(fineBytes));

constexpr size_t classOf(size_t bytes) {
  if (bytes <= fineBytes) {
    return bytes == 0 ? 0 : (bytes - 1) / step;
  }
  size_t power = std::bit_width(bytes - 1) - 1; // 2^power < bytes ≤ 2^(power + 1), four classes in between
  size_t quarter = (bytes - 1 - (size_t{1} << power)) >> (power - 2);
  return fineClasses + 4 * (power + 1 - std::bit_width(fineBytes)) + quarter;
}

constexpr size_t bytesOf(size_t sizeClass) {
  if (sizeClass < fineClasses) {
    return (sizeClass + 1) * step;
  }
  size_t power = std::bit_width(fineBytes) - 1 + (sizeClass - fineClasses) / 4;
  return (size_t{1} << power) + ((sizeClass - fineClasses) % 4 + 1) * (size_t{1} << (power - 2));
}

constexpr bool everySizeFits() {
  for (size_t bytes = 1; bytes <= largestBytes; ++bytes) {
    size_t sizeClass = classOf(bytes);
    if (sizeClass >= classes || bytesOf(sizeClass) < bytes || (sizeClass > 0 && bytesOf(sizeClass - 1) >= bytes)) {
      return false;
    }
  }
  return true;
}
static_assert(everySizeFits() && bytesOf(classes - 1) == largestBytes);

struct Block { // while it is free
  Block* next;
};

/// A thread's own blocks.
struct Stock {
  std::array<Block*, classes> free;
  std::array<std::byte*, classes> fresh; ///< what is left of the newest span of the class …
  std::array<size_t, classes> left;      ///< … and its bytes
};

constinit thread_local Stock stock{};
constinit std::atomic<std::byte*> region{nullptr};
constinit std::atomic<size_t> spansUsed{0};
constinit std::array<uint8_t, regionBytes / spanBytes> classOfSpan{};
constinit std::atomic<pid_t> owner{0}; ///< the process that began with this memory, or with fresh spans of it

[[gnu::noinline]] void* fromSpan(std::byte* begin, size_t sizeClass) {
  size_t bytes = bytesOf(sizeClass);
  if (stock.left[sizeClass] < bytes) {
    size_t span = spansUsed.fetch_add(1, std::memory_order_relaxed);
    if (span >= classOfSpan.size()) {
      spansUsed.store(classOfSpan.size(), std::memory_order_relaxed);
      return std::malloc(bytes);
    }
    classOfSpan[span] = static_cast<uint8_t>(sizeClass);
    stock.fresh[sizeClass] = begin + span * spanBytes;
    stock.left[sizeClass] = spanBytes;
  }
  std::byte* block = stock.fresh[sizeClass];
  stock.fresh[sizeClass] += bytes;
  stock.left[sizeClass] -= bytes;
  return block;
}

/// Null if there is no memory.
void* take(size_t bytes) {
  std::byte* begin = region.load(std::memory_order_relaxed);
  if (begin == nullptr || bytes > largestBytes) {
    return std::malloc(std::max<size_t>(bytes, 1));
  }
  size_t sizeClass = classOf(bytes);
  if (Block* block = stock.free[sizeClass]) {
    stock.free[sizeClass] = block->next;
    return block;
  }
  return fromSpan(begin, sizeClass);
}

/// What `allocate` gives, when the handler for that has found memory.
template <class F> void* orThrow(F&& allocate) {
  for (;;) {
    if (void* memory = allocate()) {
      return memory;
    }
    std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) {
      throw std::bad_alloc();
    }
    handler();
  }
}

void give(void* memory) {
  std::byte* begin = region.load(std::memory_order_relaxed);
  size_t offset = reinterpret_cast<uintptr_t>(memory) - reinterpret_cast<uintptr_t>(begin);
  if (begin == nullptr || offset >= regionBytes) {
    std::free(memory); // also null
    return;
  }
  auto* block = static_cast<Block*>(memory);
  size_t sizeClass = classOfSpan[offset / spanBytes];
  block->next = stock.free[sizeClass];
  stock.free[sizeClass] = block;
}

} // namespace

namespace dnn {

void keepObjectMemory() {
  if (region.load() != nullptr) {
    if (getpid() != owner) { // pages of the process that forked this one would be copied one by one when written to
      constexpr size_t largePage = size_t{2} << 20, spans = largePage / spanBytes;
      stock = {};
      spansUsed.store((spansUsed.load() + spans - 1) / spans * spans);
      owner = getpid();
    }
    return;
  }
  void* made = mmap(nullptr, regionBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  std::byte* none = nullptr;
  if (made == MAP_FAILED) {
    return;
  }
  madvise(made, regionBytes, MADV_HUGEPAGE); // a wish; refusal costs only speed
  if (!region.compare_exchange_strong(none, static_cast<std::byte*>(made))) {
    munmap(made, regionBytes);
  } else {
    owner = getpid();
  }
}

} // namespace dnn

// The other forms of the standard library call these.

void* operator new(size_t bytes) {
  return orThrow([=] { return take(bytes); });
}

void operator delete(void* memory) noexcept { give(memory); }
void operator delete(void* memory, size_t) noexcept { give(memory); }

// LLVM's tables and the memory behind its nodes come with an alignment, which all blocks have.

void* operator new(size_t bytes, std::align_val_t alignment) {
  auto multiple = static_cast<size_t>(alignment);
  if (multiple <= step) {
    return operator new(bytes);
  }
  size_t whole = (std::max<size_t>(bytes, 1) + multiple - 1) / multiple * multiple;
  return orThrow([=] { return std::aligned_alloc(multiple, whole); });
}

void operator delete(void* memory, std::align_val_t) noexcept { give(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { give(memory); }

#endif
