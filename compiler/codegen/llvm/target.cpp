#include "compiler/codegen/llvm/target.h"

#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetOptions.h>

#include <mutex>
#include <string>

namespace dnn::codegen {

namespace {

constexpr const char* targetTriple = "x86_64-unknown-linux-gnu";

} // namespace

void initializeTarget() {
  static std::once_flag initialized;
  std::call_once(initialized, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
}

Result<std::unique_ptr<llvm::TargetMachine>> makeTargetMachine(llvm::StringRef cpu, llvm::StringRef features,
                                                               llvm::CodeGenOptLevel level) {
  initializeTarget();
  std::string message;
  llvm::Triple triple(targetTriple);
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(triple, message);
  if (target == nullptr) {
    return Error{"LLVM cannot generate code for " + std::string(targetTriple) + ": " + message, ""};
  }
  llvm::TargetOptions options;
  options.FunctionSections = true;
  options.DataSections = true;
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(triple, cpu, features, options, llvm::Reloc::PIC_, std::nullopt, level));
}

} // namespace dnn::codegen
