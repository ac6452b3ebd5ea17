// The machine that kernels are made for: what the schedule templates derive their tiles from.
#pragma once

#include "compiler/support/result.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace dnn::schedule {

/// Bytes of the third cache that a core may count on; it is shared with others.
inline constexpr double l3Share = 8 << 20;

struct Machine {
  std::string target = "x86-64-v3"; ///< what the machine code needs: "x86-64-v3" (AVX2, FMA) or "x86-64-v4" (AVX-512)
  int vectorBits = 256;
  int vectorRegisters = 16;
  int computedBits =
      512;       ///< of the vectors that a core can multiply and add in one cycle, and of those that it can load
  int cores = 2; ///< only a hint: how many pieces a loop is cut into, never which result it has
  int64_t l1Bytes = 32 << 10;
  int64_t l2Bytes = 1 << 20;

  /// Elements of this many bytes in one vector.
  int lanes(int elementBytes) const { return vectorBits / 8 / elementBytes; }
  /// The same for a loop of so many columns: halved, down to 4, as long as half of them hold all columns.
  int64_t lanes(int elementBytes, int64_t columns) const {
    int64_t count = lanes(elementBytes);
    while (count > 4 && count / 2 >= columns) {
      count /= 2;
    }
    return count;
  }
  /// How many multiply-adds of vectors of so many bits begin in a cycle, and as many loads: two, if the core is wide
  /// enough.
  double vectorsPerCycle(int64_t bits) const {
    return std::min(2.0, static_cast<double>(computedBits) / static_cast<double>(bits));
  }
  bool operator==(const Machine&) const = default;
};

/// The best target this processor can run; caches from the kernel's tables where they are readable.
Machine hostMachine();
/// "host", "x86-64-v3" or "x86-64-v4". The named levels have fixed values, so that the same code is made everywhere.
Result<Machine> machineFor(std::string_view target);

/// All that a schedule may go by, as a text.
std::string print(const Machine& machine);

} // namespace dnn::schedule
