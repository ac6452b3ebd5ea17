// What the step functions of a program do, as plain data: which kernels are called in which order with which buffers.
// compiler/codegen makes it from the graph, this room turns it into machine code.
#pragma once

#include "compiler/schedule/kernel.h"
#include "compiler/types/tensor_type.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace dnn::codegen {

/// A place in one of the two memory regions that `bind` names.
struct Place {
  enum class Region : uint8_t { Persistent, Arena };
  Region region = Region::Arena;
  uint64_t offset = 0; ///< bytes, a multiple of 64
};

/// Where something lies: at one place for good, or where a pointer of a loop around shows at present.
struct Address {
  Place place;
  std::optional<uint32_t> pointer; ///< number of the entry's pointer, in the place of `place`
};

/// One halide_buffer_t, dense and row-major.
struct Descriptor {
  DType dtype = DType::F32;
  std::vector<Dim> dims; ///< row-major order; over the symbols of the entry that uses it
  Address at;
};

/// One argument of a kernel call.
struct CallArg {
  enum class Kind : uint8_t { Buffer, Symbol, SeedLo, SeedHi, Step, Epoch, Constant };
  Kind kind = Kind::Buffer;
  uint32_t index = 0; ///< Buffer: into the entry's descriptors; Symbol: into the entry's symbols; Constant: itself
};

/// Writes the same bits to every element of a buffer.
struct Fill {
  uint32_t buffer = 0; ///< into the entry's descriptors
  uint64_t bits = 0;   ///< of one element
};

/// A dense tensor without its address: how many bytes it has.
struct Extent {
  DType dtype = DType::F32;
  std::vector<Dim> dims;
};

/// A pointer that shows `base` plus as many times `extent` as the step's number says.
struct Cursor {
  uint32_t pointer = 0;
  Address base;
  Extent extent;
};

/// A pointer that shows `initial` in the first step, then where pointer `next` showed in the step before.
struct CarryPointer {
  uint32_t pointer = 0;
  Address initial;
  uint32_t next = 0;
  /// The pointer `next` shows `last` and `other` in turn, in the last step `last`. Without it `next` is one of the
  /// loop's cursors, and what it shows in the last step is copied to `last`. Over no steps `initial` is copied there.
  std::optional<Address> other;
  Address last;
  Extent extent;
};

struct StepCopy {
  Address from;
  Address to;
  Extent extent;
};

/// dnn_distinct of the runtime, on i32 tensors.
struct DistinctCode {
  Address keys;
  Extent extent; ///< of the keys
  Address places;
  Address rows;
  Address count;
};

struct LoopCode;

/// One call of a kernel, or what stands in its place.
struct CallCode {
  uint32_t kernel = 0; ///< index into StepProgram::kernels
  std::vector<CallArg> args;
  std::optional<Fill> fill;
  std::optional<DistinctCode> distinct;
  std::shared_ptr<const LoopCode> loop;
};

struct LoopCode {
  Dim steps;
  bool reversed = false; ///< the step's number runs from steps - 1 down to 0
  /// The loop ends before a step in which the first carry's byte is not 0; what the last `emitted` cursors show in the
  /// steps that are not run becomes 0.
  bool ends = false;
  uint32_t emitted = 0;
  std::optional<Address> counter; ///< an i32 that holds the step's number
  std::vector<Cursor> cursors;
  std::vector<CarryPointer> carries;
  std::vector<CallCode> calls;
  std::vector<StepCopy> copies; ///< at the end of each step
};

/// Writes the number of the step or epoch, an i32, to memory before anything else happens.
struct EnvStore {
  bool epoch = false;
  Place to;
};

struct Copy {
  Place from;
  Place to;
  uint64_t bytes = 0;
};

/// Row i of `from` goes to row rows[i] of `to`, for i < count.
struct RowCopyCode {
  Place from;
  Place rows;
  Place count;
  Place to;
  uint64_t bytes = 0; ///< of one row
};

struct EntryCode {
  std::string name;
  std::vector<Symbol> symbols; ///< none, or the batch and then the lengths of sequences
  std::vector<Descriptor> descriptors;
  std::vector<EnvStore> stores;
  uint32_t pointers = 0; ///< how many its loops have
  std::vector<CallCode> calls;
  std::vector<Copy> copies;           ///< done when all is computed, in order
  std::vector<RowCopyCode> rowCopies; ///< done last
};

struct StepProgram {
  struct KernelSymbol {
    std::string name;
    std::vector<schedule::KernelArg> args;
  };
  std::vector<KernelSymbol> kernels;
  std::vector<EntryCode> entries;    ///< in the plan's order
  std::vector<uint8_t> plan;         ///< encoded
  std::string symbol = "dnn_module"; ///< of the module
  std::string next;                  ///< symbol of the module that follows in a sweep; "" = none
  /// Entries measure themselves: each adds the time-stamp ticks of its call i to dnn_ticks[i], those of loops counted
  /// where they stand, and those of its copies to the element behind the last call. The host gives `uint64_t
  /// dnn_ticks[]`.
  bool timed = false;
};

} // namespace dnn::codegen
