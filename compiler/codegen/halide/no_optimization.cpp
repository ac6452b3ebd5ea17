// Part of every program that links this room (an interface source), because only then the dynamic linker prefers it.
#include "compiler/codegen/halide/no_optimization.h"

#include "Halide.h"

namespace dnn::codegen {

thread_local uint64_t optimizationsLeftOut = 0;

} // namespace dnn::codegen

namespace Halide::Internal {

// Takes the place of the library's function of this name, which runs all passes of -O3 over each module, hundreds of
// unused runtime functions included: more than a third of the time that a kernel took to compile. The passes that a
// kernel needs run later (compiler/codegen/llvm/emit_kernel.cpp).
void CodeGen_LLVM::optimize_module() { ++dnn::codegen::optimizationsLeftOut; }

} // namespace Halide::Internal
