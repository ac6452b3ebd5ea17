#include "compiler/codegen/llvm/jit.h"

#include "compiler/codegen/llvm/target.h"

#include <llvm/ExecutionEngine/Orc/AbsoluteSymbols.h>
#include <llvm/ExecutionEngine/Orc/ExecutionUtils.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/Support/MemoryBuffer.h>

namespace dnn::codegen {

struct JitProgram::Impl {
  std::string messages; // what the session reports beside the errors it returns; they name the missing symbols
  std::unique_ptr<llvm::orc::LLJIT> jit;
};

JitProgram::JitProgram(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JitProgram::~JitProgram() = default;

namespace {

Error jitError(llvm::Error error, const std::string& messages = "") {
  return {"cannot load the compiled program: " + messages + llvm::toString(std::move(error)), ""};
}

} // namespace

Result<std::unique_ptr<JitProgram>> JitProgram::load(std::span<const std::vector<uint8_t>> objects,
                                                     std::span<const HostSymbol> hostSymbols) {
  initializeTarget();
  auto impl = std::make_unique<Impl>();
  auto jit = llvm::orc::LLJITBuilder().create();
  if (!jit) {
    return jitError(jit.takeError());
  }
  impl->jit = std::move(*jit);
  llvm::orc::LLJIT& lljit = *impl->jit;
  lljit.getExecutionSession().setErrorReporter(
      [&messages = impl->messages](llvm::Error error) { messages += llvm::toString(std::move(error)) + "; "; });
  llvm::orc::JITDylib& dylib = lljit.getMainJITDylib();

  llvm::orc::SymbolMap symbols;
  for (const HostSymbol& symbol : hostSymbols) {
    symbols[lljit.mangleAndIntern(symbol.name)] = {llvm::orc::ExecutorAddr::fromPtr(symbol.address),
                                                   llvm::JITSymbolFlags::Exported};
  }
  if (llvm::Error error = dylib.define(llvm::orc::absoluteSymbols(std::move(symbols)))) {
    return jitError(std::move(error));
  }
  // libc and libm are shared libraries of this process, so they are found although the program exports nothing.
  auto process =
      llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(lljit.getDataLayout().getGlobalPrefix());
  if (!process) {
    return jitError(process.takeError());
  }
  dylib.addGenerator(std::move(*process));

  for (const std::vector<uint8_t>& object : objects) {
    llvm::StringRef bytes(reinterpret_cast<const char*>(object.data()), object.size());
    if (llvm::Error error = lljit.addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(bytes, "kernel.o"))) {
      return jitError(std::move(error));
    }
  }
  auto module = lljit.lookup("dnn_module");
  if (!module) {
    return jitError(module.takeError(), impl->messages);
  }
  std::unique_ptr<JitProgram> program(new JitProgram(std::move(impl)));
  program->module_ = module->toPtr<const DnnModule*>();
  return program;
}

} // namespace dnn::codegen
