// Builds the LLVM module of a step program. Private to this room: it shows LLVM types.
#pragma once

#include "compiler/codegen/llvm/step_program.h"

#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>

#include <memory>

namespace dnn::codegen {

std::unique_ptr<llvm::Module> buildStepModule(const StepProgram& program, llvm::LLVMContext& context);

} // namespace dnn::codegen
