// The one target that code is generated for.
#pragma once

#include "compiler/support/result.h"

#include <llvm/Target/TargetMachine.h>

#include <memory>

namespace dnn::codegen {

/// Makes LLVM's x86-64 target known; any number of times, from any thread.
void initializeTarget();

/// Position independent code for x86-64 Linux, each function in a section of its own.
Result<std::unique_ptr<llvm::TargetMachine>> makeTargetMachine(llvm::StringRef cpu, llvm::StringRef features,
                                                               llvm::CodeGenOptLevel level);

} // namespace dnn::codegen
