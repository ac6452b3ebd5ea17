// What this machine can do at most, measured when asked for: bounds that times are compared with.
#pragma once

#include "runtime/pool/pool.h"

#include <cstdint>
#include <string>
#include <vector>

namespace dnn::driver {

struct MachineSpeed {
  /// Bytes a second between the registers and one level of the memory, all threads together, for arrays of `bytes`
  /// bytes in all.
  struct Level {
    std::string name;   ///< "L1", "L2", "L3", "memory"
    uint64_t holds = 0; ///< bytes that fit into it; the largest number for memory
    uint64_t bytes = 0; ///< what was measured
    double read = 0;    ///< reading once
    double update = 0;  ///< reading and writing each element, both counted
    double write = 0;   ///< writing once; what a cache fetches before is not counted
    double triad = 0;   ///< a = b + s · c: two read, one written, all counted
  };

  int threads = 1;
  double flops = 0;          ///< f32 operations a second in fused multiply-adds of registers, all threads together
  std::vector<Level> levels; ///< from the nearest to the farthest

  /// The least seconds for the bytes that are only read, only written, and both read and written (counted once), where
  /// the nearest level that holds them all is. Memory does one after the other; a cache may read and write at once, so
  /// there the best of reading and updating counts for all.
  double secondsFor(double onlyRead, double onlyWritten, double updated) const;
};

enum class SpeedDetail : uint8_t {
  Bounds, ///< flops, read and update, and writing memory
  All,
};

/// With the threads of the pool, in well under a second. Needs AVX2 and FMA, uses AVX-512 where there is some.
MachineSpeed measureMachine(runtime::Pool& pool, SpeedDetail detail);

} // namespace dnn::driver
