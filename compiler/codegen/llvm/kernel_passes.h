// Which of LLVM's passes a kernel goes through.
#pragma once

namespace llvm {
class Module;
class TargetMachine;
} // namespace llvm

namespace dnn::codegen {

/// Improves every function of the module.
void runKernelPasses(llvm::Module& module, llvm::TargetMachine& machine);

} // namespace dnn::codegen
