// Kernels: what the scheduler decides about and the Halide back end compiles.
//
// After fusion the pass outline-kernels turns each group into a helper function of its module: `input "0"`, `input
// "1"`, … are the group's operands in order, `returns` its escapes, and the function's text is the same for identical
// groups, so they are compiled once. A kernel function is ordinary IR: the interpreter runs it, which is how kernels
// are tested.
#pragma once

#include "compiler/graph/graph.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dnn::schedule {

struct Kernel {
  const graph::Function* function = nullptr;
  /// For each return: the input whose buffer it overwrites, element for element (an optimizer update). Such an input is
  /// read by nothing that runs later, and inside the kernel only at the element that is written, or, in a kernel that
  /// runs row by row, before the row is written (readsByRows in row_form.h).
  std::vector<std::optional<uint32_t>> inPlace;
  /// Inputs and returns (none, or one entry each) whose buffers may begin at any element; the others begin at multiples
  /// of 64 bytes.
  std::vector<bool> unalignedInputs;
  std::vector<bool> unalignedReturns;
  /// Only what runs once, while a program starts, calls it (initial values, generated data): the time to compile it
  /// counts for more than the time to run it.
  bool once = false;
};

/// One C argument of a compiled kernel. Buffers are halide_buffer_t*, scalars as named.
struct KernelArg {
  enum class Kind : uint8_t {
    Input,  ///< buffer of input `index`; absent for inputs that an in-place output overwrites
    Symbol, ///< int32_t, the run-time value of the kernel function's symbol `index`
    SeedLo, ///< uint32_t
    SeedHi, ///< uint32_t
    Step,   ///< uint32_t in draws; `env "step"` is the same number as i32
    Epoch,  ///< uint32_t
    Site,   ///< uint32_t, in the place of site `index` of the kernel function's draws
    Output, ///< buffer of return `index`
  };
  Kind kind = Kind::Input;
  uint32_t index = 0;
};

/// Machine code of one kernel: a relocatable ELF object that defines `int name(args…)`, 0 = success, and imports at
/// most halide_do_par_for, halide_malloc, halide_free and libm functions. Buffer descriptors have one dimension per
/// tensor dimension, Halide order (innermost first), dense row-major strides, min 0; a scalar tensor has 0 dimensions.
struct KernelObject {
  std::string name;
  std::vector<KernelArg> args;
  std::vector<uint8_t> bytes;
};

} // namespace dnn::schedule
