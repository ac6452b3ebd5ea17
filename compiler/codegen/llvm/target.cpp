#include "compiler/codegen/llvm/target.h"

#include "compiler/support/assert.h"

#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/CommandLine.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetOptions.h>

#include <array>
#include <mutex>
#include <string>

namespace dnn::codegen {

namespace {

constexpr const char* targetTriple = "x86_64-unknown-linux-gnu";

/// The scheduler of instructions compares each load and store of a block with all others, which takes a third of the
/// time of selecting code where a block has hundreds. From a hundred on it forgets the older ones; kernels stay the
/// same.
void boundScheduler() {
  constexpr std::array options = {"dnnc", "-dag-maps-huge-region=100", "-dag-maps-reduction-size=50"};
  bool known = llvm::cl::ParseCommandLineOptions(options.size(), options.data());
  DNN_ASSERT(known, "LLVM has the options of its scheduler");
}

} // namespace

void initializeTarget() {
  static std::once_flag initialized;
  std::call_once(initialized, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    boundScheduler();
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
