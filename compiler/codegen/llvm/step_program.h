// What the step functions of a program do, as plain data: which kernels are called in which order with which buffers.
// compiler/codegen makes it from the graph, this room turns it into machine code.
#pragma once

#include "compiler/schedule/kernel.h"
#include "compiler/types/tensor_type.h"

#include <cstdint>
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

/// One halide_buffer_t, dense and row-major.
struct Descriptor {
  DType dtype = DType::F32;
  std::vector<Dim> dims; ///< row-major order; over the symbols of the entry that uses it
  Place place;
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

struct KernelCallCode {
  uint32_t kernel = 0; ///< index into StepProgram::kernels
  std::vector<CallArg> args;
  std::optional<Fill> fill; ///< in the place of a kernel
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

struct EntryCode {
  std::string name;
  std::vector<Symbol> symbols; ///< none, or the batch
  std::vector<Descriptor> descriptors;
  std::vector<EnvStore> stores;
  std::vector<KernelCallCode> calls;
  std::vector<Copy> copies; ///< done last, in order
};

struct StepProgram {
  struct KernelSymbol {
    std::string name;
    std::vector<schedule::KernelArg> args;
  };
  std::vector<KernelSymbol> kernels;
  std::vector<EntryCode> entries; ///< in the plan's order
  std::vector<uint8_t> plan;      ///< encoded
  /// Entries measure themselves: each adds the time-stamp ticks of its call i to dnn_ticks[i], and those of its copies
  /// to the element behind the last call. The host gives `uint64_t dnn_ticks[]`.
  bool timed = false;
};

} // namespace dnn::codegen
