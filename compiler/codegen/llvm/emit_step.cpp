#include "compiler/codegen/llvm/emit_step.h"

#include "compiler/codegen/llvm/step_builder.h"
#include "compiler/codegen/llvm/target.h"
#include "compiler/support/assert.h"

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/raw_ostream.h>

namespace dnn::codegen {

namespace {

/// Selects instructions the fast way.
Result<std::unique_ptr<llvm::TargetMachine>> stepMachine() {
  return makeTargetMachine("x86-64", "", llvm::CodeGenOptLevel::None);
}

/// The module, with target and data layout set. Step functions are straight lines of calls, so no pass improves them,
/// and code is selected the fast way: 60 ms instead of 420 for 256 layers.
std::unique_ptr<llvm::Module> build(const StepProgram& program, llvm::LLVMContext& context,
                                    const llvm::TargetMachine& machine) {
  std::unique_ptr<llvm::Module> module = buildStepModule(program, context);
  module->setTargetTriple(machine.getTargetTriple());
  module->setDataLayout(machine.createDataLayout());
  module->setPICLevel(llvm::PICLevel::BigPIC);
  std::string message;
  llvm::raw_string_ostream stream(message);
  bool broken = llvm::verifyModule(*module, &stream);
  DNN_ASSERT(!broken, message.c_str());
  return module;
}

Result<llvm::SmallVector<char, 0>> compile(const StepProgram& program, llvm::CodeGenFileType type) {
  auto machine = stepMachine();
  if (!machine) {
    return machine.error();
  }
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = build(program, context, **machine);
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  bool unsupported = (*machine)->addPassesToEmitFile(passes, stream, nullptr, type);
  DNN_ASSERT(!unsupported, "LLVM emits objects and assembly for x86-64");
  passes.run(*module);
  return bytes;
}

} // namespace

Result<std::string> stepIr(const StepProgram& program) {
  auto machine = stepMachine();
  if (!machine) {
    return machine.error();
  }
  llvm::LLVMContext context;
  std::string text;
  llvm::raw_string_ostream stream(text);
  build(program, context, **machine)->print(stream, nullptr);
  return text;
}

Result<std::vector<uint8_t>> stepObject(const StepProgram& program) {
  auto bytes = compile(program, llvm::CodeGenFileType::ObjectFile);
  if (!bytes) {
    return bytes.error();
  }
  return std::vector<uint8_t>(bytes->begin(), bytes->end());
}

Result<std::string> stepAssembly(const StepProgram& program) {
  auto bytes = compile(program, llvm::CodeGenFileType::AssemblyFile);
  if (!bytes) {
    return bytes.error();
  }
  return std::string(bytes->begin(), bytes->end());
}

} // namespace dnn::codegen
