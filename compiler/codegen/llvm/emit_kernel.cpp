#include "compiler/codegen/llvm/emit_kernel.h"

#include "compiler/codegen/llvm/kernel_passes.h"
#include "compiler/codegen/llvm/target.h"
#include "compiler/support/assert.h"

#include <llvm/Bitcode/BitcodeReader.h>
#include <llvm/Bitcode/BitcodeWriter.h>
#include <llvm/Config/llvm-config.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicInst.h>
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

/// Reads the functions `names` and what they reach; everything else never becomes more than bytes. Only they are
/// visible outside of the object then.
llvm::Error keepReached(llvm::Module& module, std::span<const std::string> names) {
  std::unordered_set<llvm::GlobalValue*> reached, named;
  std::vector<llvm::GlobalValue*> work;
  for (const std::string& name : names) {
    work.push_back(module.getFunction(name));
    DNN_ASSERT(work.back() != nullptr, "the bitcode of a kernel defines it");
    named.insert(work.back());
  }
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
    } else if (!global.isDeclaration() && !named.contains(&global)) {
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

constexpr uint32_t fetchedToRead = 0, fetchedToWrite = 1;
constexpr uint32_t intoSecondCache = 2, intoFirstCache = 3; // and into every cache on the way

/// Calls of a function that fetches a line become the instruction for it.
void insertFetch(llvm::Function& fetch, uint32_t purpose, uint32_t level, std::string_view feature) {
  constexpr uint32_t data = 1;
  for (llvm::User* user : llvm::make_early_inc_range(fetch.users())) {
    auto* call = llvm::cast<llvm::CallInst>(user);
    llvm::IRBuilder<> ir(call);
    llvm::Value* line = ir.CreateGEP(ir.getInt8Ty(), call->getArgOperand(0), call->getArgOperand(1));
    ir.CreateIntrinsic(llvm::Intrinsic::prefetch, {line->getType()},
                       {line, ir.getInt32(purpose), ir.getInt32(level), ir.getInt32(data)});
    llvm::Function* caller = call->getFunction();
    std::string features = caller->getFnAttribute("target-features").getValueAsString().str();
    if (!feature.empty() && features.find(feature) == std::string::npos) {
      caller->addFnAttr("target-features", features + (features.empty() ? "" : ",") + std::string(feature));
    }
    call->replaceAllUsesWith(ir.getInt32(0));
    call->eraseFromParent();
  }
  fetch.eraseFromParent();
}

/// Every processor that runs kernels decodes the instruction that fetches a line to be written; to LLVM it is a feature
/// of its own. Halide's own fetches are of lines that are only read, though it says otherwise.
void insertFetches(llvm::Module& module) {
  if (llvm::Function* fetch = module.getFunction("dnn_fetch_to_read")) {
    insertFetch(*fetch, fetchedToRead, intoSecondCache, "");
  }
  if (llvm::Function* fetch = module.getFunction("dnn_fetch_to_read_soon")) {
    insertFetch(*fetch, fetchedToRead, intoFirstCache, "");
  }
  llvm::Function* fetch = module.getFunction("dnn_fetch_to_write");
  if (fetch == nullptr) {
    return;
  }
  for (llvm::Function& function : module) {
    for (llvm::User* user : function.users()) {
      if (auto* halides = llvm::dyn_cast<llvm::IntrinsicInst>(user);
          halides != nullptr && halides->getIntrinsicID() == llvm::Intrinsic::prefetch) {
        constexpr unsigned access = 1;
        halides->setArgOperand(access,
                               llvm::ConstantInt::get(halides->getArgOperand(access)->getType(), fetchedToRead));
      }
    }
  }
  insertFetch(*fetch, fetchedToWrite, intoFirstCache, "+prfchw");
}

/// The functions of parallel loops get names that only the kernel decides: Halide appends a number where a name, or
/// another of the process with the same hash, has been used before.
void nameTasks(llvm::Module& module, const std::string& kernel) {
  for (llvm::Function& function : module) {
    llvm::StringRef name = function.getName();
    auto [first, number] = name.rsplit("__");
    bool numbered = !number.empty() && number.find_first_not_of("0123456789") == llvm::StringRef::npos;
    if (function.hasInternalLinkage() && name.starts_with(kernel) && numbered) {
      function.setName(first.str());
    }
  }
}

/// What Halide notes about the processor in the module.
std::string flagOf(const llvm::Module& module, const char* name) {
  auto* text = llvm::dyn_cast_or_null<llvm::MDString>(module.getModuleFlag(name));
  DNN_ASSERT(text != nullptr, "the bitcode of a kernel names the processor");
  return text->getString().str();
}

Result<std::unique_ptr<llvm::Module>> read(std::span<const uint8_t> bitcode, std::span<const std::string> names,
                                           llvm::LLVMContext& context) {
  context.setDiscardValueNames(true);
  llvm::StringRef bytes(reinterpret_cast<const char*>(bitcode.data()), bitcode.size());
  auto module =
      llvm::getLazyBitcodeModule(llvm::MemoryBufferRef(bytes, names[0]), context, /*ShouldLazyLoadMetadata=*/true);
  if (!module) {
    return unreadable(module.takeError(), names[0]);
  }
  if (llvm::Error error = keepReached(**module, names)) {
    return unreadable(std::move(error), names[0]);
  }
  return std::move(*module);
}

} // namespace

Result<std::vector<uint8_t>> reachedBitcode(std::span<const uint8_t> bitcode, std::span<const std::string> names) {
  llvm::LLVMContext context;
  auto module = read(bitcode, names, context);
  if (!module) {
    return module.error();
  }
  llvm::SmallVector<char, 0> code;
  llvm::raw_svector_ostream stream(code);
  llvm::WriteBitcodeToFile(**module, stream);
  return std::vector<uint8_t>(code.begin(), code.end());
}

class KernelEmitter::Machine {
public:
  Result<llvm::SmallVector<char, 0>> emit(std::span<const uint8_t> bitcode, const std::string& name,
                                          llvm::CodeGenFileType type) {
    llvm::LLVMContext context;
    auto module = read(bitcode, {&name, 1}, context);
    if (!module) {
      return module.error();
    }
    insertFetches(**module);
    nameTasks(**module, name);
    if (Status made = makeFor(**module); !made) {
      return made.error();
    }
    (*module)->setTargetTriple(machine_->getTargetTriple());
    (*module)->setDataLayout(machine_->createDataLayout());
    (*module)->setModuleIdentifier(name);
    (*module)->setSourceFileName(name); // instead of those of Halide's runtime library
    if (llvm::NamedMDNode* compilers = (*module)->getNamedMetadata("llvm.ident")) {
      compilers->eraseFromParent();
    }
    runKernelPasses(**module, *machine_);
    llvm::SmallVector<char, 0> code;
    llvm::raw_svector_ostream stream(code);
    llvm::legacy::PassManager passes;
    bool unsupported = machine_->addPassesToEmitFile(passes, stream, nullptr, type);
    DNN_ASSERT(!unsupported, "LLVM emits objects and assembly for x86-64");
    passes.run(**module);
    return code;
  }

private:
  std::string processor_, features_;
  std::unique_ptr<llvm::TargetMachine> machine_;

  Status makeFor(const llvm::Module& module) {
    std::string processor = flagOf(module, "halide_mcpu_target"), features = flagOf(module, "halide_mattrs");
    if (machine_ != nullptr && processor == processor_ && features == features_) {
      return success();
    }
    auto machine = makeTargetMachine(processor, features, llvm::CodeGenOptLevel::Aggressive);
    if (!machine) {
      return machine.error();
    }
    machine_ = std::move(*machine);
    processor_ = std::move(processor);
    features_ = std::move(features);
    return success();
  }
};

KernelEmitter::KernelEmitter() : machine_(std::make_unique<Machine>()) {}
KernelEmitter::~KernelEmitter() = default;

Result<std::vector<uint8_t>> KernelEmitter::object(std::span<const uint8_t> bitcode, const std::string& name) {
  auto code = machine_->emit(bitcode, name, llvm::CodeGenFileType::ObjectFile);
  if (!code) {
    return code.error();
  }
  return std::vector<uint8_t>(code->begin(), code->end());
}

Result<std::string> KernelEmitter::assembly(std::span<const uint8_t> bitcode, const std::string& name) {
  auto code = machine_->emit(bitcode, name, llvm::CodeGenFileType::AssemblyFile);
  if (!code) {
    return code.error();
  }
  return std::string(code->begin(), code->end());
}

std::string kernelPassesIdentity() { return "LLVM " LLVM_VERSION_STRING ", passes " DNN_KERNEL_PASSES; }

} // namespace dnn::codegen
