// LLVM code for a program's step functions: one module that defines
//   i32 dnn_<entry>(const DnnCall*)   calls the kernels in order, tests their return codes, copies what must be copied
//   void dnn_bind(u8* persistent, u8* arena)   fills in where the buffers lie
//   dnn_module                        the constant that the runtime reads (runtime/include/dnn/abi.h)
// Nothing is allocated or looked up when it runs: every halide_buffer_t is a global, and only the extents that depend
// on the batch are rewritten, when the number of rows changes.
#pragma once

#include "compiler/codegen/llvm/step_program.h"
#include "compiler/support/result.h"

#include <string>
#include <vector>

namespace dnn::codegen {

/// Textual LLVM IR, verified.
Result<std::string> stepIr(const StepProgram& program);
/// A relocatable, position independent ELF object for x86-64 Linux. Runs on every x86-64: the work is in the kernels.
Result<std::vector<uint8_t>> stepObject(const StepProgram& program);
Result<std::string> stepAssembly(const StepProgram& program);

} // namespace dnn::codegen
