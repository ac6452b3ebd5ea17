// Halide's own passes over LLVM code, which do not run here.
#pragma once

#include <cstdint>

namespace dnn::codegen {

/// How often Halide has called on this thread what takes the place of them. It would not if the dynamic linker
/// preferred the library's function, and kernels would take a third longer to compile without any other sign of it.
extern thread_local uint64_t optimizationsLeftOut;

} // namespace dnn::codegen
