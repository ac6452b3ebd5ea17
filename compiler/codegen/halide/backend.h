// What the module `libdnnc_halide.so` offers. Halide's library takes 8 ms and 30 MB to load, so `dnnc` loads it only to
// compile a kernel, see compiler/codegen/halide_backend.h.
#pragma once

#include "compiler/codegen/halide/lower_kernel.h"

namespace dnn::codegen {

/// The functions of lower_kernel.h.
struct HalideFunctions {
  decltype(&codegen::lowerKernels) lowerKernels;
  decltype(&codegen::loopNest) loopNest;
};

} // namespace dnn::codegen

extern "C" const dnn::codegen::HalideFunctions dnnc_halide_functions;
