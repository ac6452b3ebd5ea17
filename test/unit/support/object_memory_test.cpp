#include "compiler/support/object_memory.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace dnn {
namespace {

struct Held {
  uint8_t* bytes;
  size_t size;
  uint8_t mark;
};

/// Takes and gives back blocks in random order; each holds what was written to it for as long as it is held.
void exchange(uint32_t seed, std::vector<Held>& held, int rounds) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<size_t> small(0, 300), any(0, 20000);
  for (int i = 0; i < rounds; ++i) {
    if (held.size() < 500 || random() % 2 == 0) {
      size_t size = random() % 8 == 0 ? any(random) : small(random);
      auto* bytes = static_cast<uint8_t*>(::operator new(size));
      EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes) % 16, 0U);
      auto mark = static_cast<uint8_t>(random());
      std::memset(bytes, mark, size);
      held.push_back({bytes, size, mark});
    } else {
      std::swap(held[random() % held.size()], held.back());
      Held last = held.back();
      held.pop_back();
      for (size_t at = 0; at < last.size; ++at) {
        ASSERT_EQ(last.bytes[at], last.mark) << "of " << last.size << " bytes";
      }
      ::operator delete(last.bytes);
    }
  }
}

void giveBack(std::vector<Held>& held) {
  for (const Held& block : held) {
    ::operator delete(block.bytes);
  }
  held.clear();
}

TEST(ObjectMemory, BlocksKeepTheirBytes) {
  std::vector<Held> before;
  exchange(1, before, 2000); // malloc's
  keepObjectMemory();
  exchange(2, before, 50000);
  giveBack(before);
}

TEST(ObjectMemory, ThreadsShareNothing) {
  keepObjectMemory();
  std::vector<std::vector<Held>> held(4);
  for (uint32_t round = 0; round < 3; ++round) { // blocks of one thread are freed by another in the next round
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < held.size(); ++i) {
      threads.emplace_back([&, i] { exchange(10 * round + i, held[(i + round) % held.size()], 20000); });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }
  for (std::vector<Held>& blocks : held) {
    giveBack(blocks);
  }
}

#if !defined(__SANITIZE_ADDRESS__)
TEST(ObjectMemory, FreedBlocksAreUsedAgain) {
  keepObjectMemory();
  void* first = ::operator new(48);
  ::operator delete(first);
  void* second = ::operator new(40);
  EXPECT_EQ(first, second);
  ::operator delete(second);
}

TEST(ObjectMemory, AForkedProcessBeginsWithFreshPages) {
  keepObjectMemory();
  auto pageOfNext = [] { // where the next block comes from
    auto block = std::make_unique<std::array<uint8_t, 48>>();
    volatile uintptr_t page = reinterpret_cast<uintptr_t>(block.get()) >> 12; // read while the block is there
    return static_cast<uintptr_t>(page);
  };
  uintptr_t before = pageOfNext();
  pid_t child = fork();
  if (child == 0) {
    keepObjectMemory();
    uintptr_t fresh = pageOfNext();
    keepObjectMemory();
    _exit(fresh != before && pageOfNext() == fresh ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}
#endif

TEST(ObjectMemory, OtherFormsOfNew) {
  keepObjectMemory();
  struct alignas(64) Line {
    uint8_t bytes[64];
  };
  auto* line = new Line;
  EXPECT_EQ(reinterpret_cast<uintptr_t>(line) % 64, 0U);
  delete line;
  for (size_t alignment : {1, 8, 16, 32, 4096}) {
    auto align = static_cast<std::align_val_t>(alignment);
    void* block = ::operator new(100, align);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % alignment, 0U);
    std::memset(block, 1, 100);
    ::operator delete(block, size_t{100}, align);
    ::operator delete(::operator new(100, align, std::nothrow), align);
  }
  volatile size_t tooMuch = SIZE_MAX / 2;
  EXPECT_THROW(static_cast<void>(::operator new(tooMuch, std::align_val_t{64})), std::bad_alloc);
  auto* array = new (std::nothrow) std::vector<int>[3];
  ASSERT_NE(array, nullptr);
  delete[] array;
}

} // namespace
} // namespace dnn
