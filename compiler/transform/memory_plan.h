// Where every value of a function lies while it runs.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/transform/place_scans.h"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace dnn::transform {

struct Slot {
  enum class Region : uint8_t { Persistent, Arena };
  Region region = Region::Arena;
  uint64_t offset = 0; ///< bytes, a multiple of 64
  uint64_t bytes = 0;  ///< for the largest batch
};

/// At the end of a function, in the order of the list, `bytes` go from one slot to another: an update that could not
/// happen in place, or an output of a value that lies elsewhere.
struct CopyBack {
  Slot from;
  Slot to;
};

/// Behind the copies: row i of `from` goes to row rows[i] of `to`, for i < count.
struct RowCopy {
  Slot from;
  Slot rows;  ///< i32
  Slot count; ///< i32
  Slot to;
  uint64_t bytes = 0; ///< of one row
};

/// A piece of the arena and when it is in use.
struct ArenaBuffer {
  const graph::Value* value = nullptr; ///< none for the temporary of a copy and the memory of a scan's body
  uint64_t bytes = 0;
  size_t first = 0; ///< position in the function's op order
  size_t last = 0;  ///< included; the number of ops = until the call has ended
  uint64_t offset = 0;
  const graph::Op* scan = nullptr; ///< what its body makes in one step lies here
};

/// Memory of a scan besides its results. The values that move from step to step have no slot of their own.
struct ScanMemory {
  ScanPlacement placement;
  std::vector<Slot> others; ///< by carry: the buffer that takes turns with the final result; 0 bytes for Emitted
};

struct FunctionMemory {
  std::unordered_map<const graph::Value*, Slot> slots;
  std::unordered_map<const graph::Op*, ScanMemory> scans;
  std::unordered_map<std::string, Slot> outputs; ///< by port name, in the arena
  std::vector<CopyBack> copies;
  std::vector<RowCopy> rowCopies;
  std::vector<ArenaBuffer> buffers; ///< in order of definition
  uint64_t arenaPeak = 0;           ///< bytes
  uint64_t arenaLowerBound = 0;     ///< bytes: the most that is alive at once, whatever the placement
};

struct MemoryPlan {
  std::unordered_map<std::string, uint64_t> persistentOffset; ///< by path
  uint64_t persistentBytes = 0;
  uint64_t arenaBytes = 0; ///< the largest peak of all functions, which share the arena
  std::unordered_map<const graph::Function*, FunctionMemory> functions;
};

} // namespace dnn::transform
