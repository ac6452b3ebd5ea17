#include "compiler/codegen/llvm/emit_kernel.h"

#include "compiler/codegen/llvm/kernel_passes.h"
#include "compiler/codegen/llvm/target.h"
#include "compiler/support/assert.h"

#include <llvm/Bitcode/BitcodeReader.h>
#include <llvm/Config/llvm-config.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Metadata.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/raw_ostream.h>

#include <unordered_set>

namespace dnn::codegen {

namespace {

Error unreadable(llvm::Error error, const std::string& name) {
  return {"the code of the kernel " + name + " cannot be read: " + llvm::toString(std::move(error)), ""};
}

/// Everything that a function's instructions name.
void collectGlobals(const llvm::User& user, std::vector<llvm::GlobalValue*>& found) {
  for (const llvm::Use& operand : user.operands()) {
    if (auto* global = llvm::dyn_cast<llvm::GlobalValue>(operand.get())) {
      found.push_back(global);
    } else if (auto* constant = llvm::dyn_cast<llvm::Constant>(operand.get())) {
      collectGlobals(*constant, found);
    }
  }
}

/// Reads the function `name` and what it reaches; everything else never becomes more than bytes. Only `name` is visible
/// outside of the object then.
llvm::Error keepReached(llvm::Module& module, const std::string& name) {
  std::unordered_set<llvm::GlobalValue*> reached;
  std::vector<llvm::GlobalValue*> work = {module.getFunction(name)};
  DNN_ASSERT(work[0] != nullptr, "the bitcode of a kernel defines it");
  while (!work.empty()) {
    llvm::GlobalValue* global = work.back();
    work.pop_back();
    if (!reached.insert(global).second) {
      continue;
    }
    if (llvm::Error error = global->materialize()) {
      return error;
    }
    if (auto* function = llvm::dyn_cast<llvm::Function>(global)) {
      for (const llvm::BasicBlock& block : *function) {
        for (const llvm::Instruction& instruction : block) {
          collectGlobals(instruction, work);
        }
      }
    } else {
      collectGlobals(*global, work);
    }
  }
  std::vector<llvm::GlobalValue*> unused;
  for (llvm::GlobalValue& global : module.global_values()) {
    if (!reached.contains(&global)) {
      unused.push_back(&global);
    } else if (!global.isDeclaration() && global.getName() != name) {
      global.setLinkage(llvm::GlobalValue::InternalLinkage);
      if (auto* object = llvm::dyn_cast<llvm::GlobalObject>(&global)) {
        object->setComdat(nullptr);
      }
    }
  }
  for (llvm::GlobalValue* global : unused) {
    global->dropAllReferences();
  }
  for (llvm::GlobalValue* global : unused) {
    global->replaceAllUsesWith(llvm::PoisonValue::get(global->getType())); // by lists like llvm.used, unused themselves
    global->eraseFromParent();
  }
  return module.materializeMetadata();
}

/// What Halide notes about the processor in the module.
std::string flagOf(const llvm::Module& module, const char* name) {
  auto* text = llvm::dyn_cast_or_null<llvm::MDString>(module.getModuleFlag(name));
  DNN_ASSERT(text != nullptr, "the bitcode of a kernel names the processor");
  return text->getString().str();
}

Result<llvm::SmallVector<char, 0>> emit(std::span<const uint8_t> bitcode, const std::string& name,
                                        llvm::CodeGenFileType type) {
  llvm::LLVMContext context;
  context.setDiscardValueNames(true);
  llvm::StringRef bytes(reinterpret_cast<const char*>(bitcode.data()), bitcode.size());
  auto module =
      llvm::getLazyBitcodeModule(llvm::MemoryBufferRef(bytes, name), context, /*ShouldLazyLoadMetadata=*/true);
  if (!module) {
    return unreadable(module.takeError(), name);
  }
  if (llvm::Error error = keepReached(**module, name)) {
    return unreadable(std::move(error), name);
  }
  auto machine = makeTargetMachine(flagOf(**module, "halide_mcpu_target"), flagOf(**module, "halide_mattrs"),
                                   llvm::CodeGenOptLevel::Aggressive);
  if (!machine) {
    return machine.error();
  }
  (*module)->setTargetTriple((*machine)->getTargetTriple());
  (*module)->setDataLayout((*machine)->createDataLayout());
  (*module)->setSourceFileName(name); // instead of those of Halide's runtime library
  if (llvm::NamedMDNode* compilers = (*module)->getNamedMetadata("llvm.ident")) {
    compilers->eraseFromParent();
  }
  runKernelPasses(**module, **machine);
  llvm::SmallVector<char, 0> code;
  llvm::raw_svector_ostream stream(code);
  llvm::legacy::PassManager passes;
  bool unsupported = (*machine)->addPassesToEmitFile(passes, stream, nullptr, type);
  DNN_ASSERT(!unsupported, "LLVM emits objects and assembly for x86-64");
  passes.run(**module);
  return code;
}

} // namespace

Result<std::vector<uint8_t>> kernelObject(std::span<const uint8_t> bitcode, const std::string& name) {
  auto code = emit(bitcode, name, llvm::CodeGenFileType::ObjectFile);
  if (!code) {
    return code.error();
  }
  return std::vector<uint8_t>(code->begin(), code->end());
}

Result<std::string> kernelAssembly(std::span<const uint8_t> bitcode, const std::string& name) {
  auto code = emit(bitcode, name, llvm::CodeGenFileType::AssemblyFile);
  if (!code) {
    return code.error();
  }
  return std::string(code->begin(), code->end());
}

std::string kernelPassesIdentity() { return "LLVM " LLVM_VERSION_STRING ", passes " DNN_KERNEL_PASSES; }

} // namespace dnn::codegen
