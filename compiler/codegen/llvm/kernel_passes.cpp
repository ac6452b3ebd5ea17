#include "compiler/codegen/llvm/kernel_passes.h"

#include <llvm/Analysis/AliasAnalysis.h>
#include <llvm/Analysis/AssumptionCache.h>
#include <llvm/Analysis/BasicAliasAnalysis.h>
#include <llvm/Analysis/BlockFrequencyInfo.h>
#include <llvm/Analysis/BranchProbabilityInfo.h>
#include <llvm/Analysis/CGSCCPassManager.h>
#include <llvm/Analysis/CycleAnalysis.h>
#include <llvm/Analysis/DemandedBits.h>
#include <llvm/Analysis/LastRunTrackingAnalysis.h>
#include <llvm/Analysis/LazyValueInfo.h>
#include <llvm/Analysis/LoopAnalysisManager.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/MemoryDependenceAnalysis.h>
#include <llvm/Analysis/MemorySSA.h>
#include <llvm/Analysis/OptimizationRemarkEmitter.h>
#include <llvm/Analysis/PhiValues.h>
#include <llvm/Analysis/PostDominators.h>
#include <llvm/Analysis/ProfileSummaryInfo.h>
#include <llvm/Analysis/ScalarEvolution.h>
#include <llvm/Analysis/ScopedNoAliasAA.h>
#include <llvm/Analysis/TargetLibraryInfo.h>
#include <llvm/Analysis/TargetTransformInfo.h>
#include <llvm/Analysis/TypeBasedAliasAnalysis.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Operator.h>
#include <llvm/IR/PassManager.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/IPO/AlwaysInliner.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/DeadStoreElimination.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/LICM.h>
#include <llvm/Transforms/Scalar/LoopPassManager.h>
#include <llvm/Transforms/Scalar/LoopRotation.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>
#include <llvm/Transforms/Vectorize/VectorCombine.h>

namespace dnn::codegen {

namespace {

/// The analyses that the passes below ask for. LLVM's PassBuilder would register them too, and link every pass there
/// is.
class Analyses {
public:
  Analyses(const llvm::Module& module, llvm::TargetMachine& machine) {
    add<llvm::PassInstrumentationAnalysis>(functions_);
    add<llvm::AssumptionAnalysis>(functions_);
    add<llvm::BasicAA>(functions_);
    add<llvm::BlockFrequencyAnalysis>(functions_);
    add<llvm::BranchProbabilityAnalysis>(functions_);
    add<llvm::CycleAnalysis>(functions_);
    add<llvm::DemandedBitsAnalysis>(functions_);
    add<llvm::DominatorTreeAnalysis>(functions_);
    add<llvm::LastRunTrackingAnalysis>(functions_);
    add<llvm::LazyValueAnalysis>(functions_);
    add<llvm::LoopAnalysis>(functions_);
    add<llvm::MemoryDependenceAnalysis>(functions_);
    add<llvm::MemorySSAAnalysis>(functions_);
    add<llvm::OptimizationRemarkEmitterAnalysis>(functions_);
    add<llvm::PhiValuesAnalysis>(functions_);
    add<llvm::PostDominatorTreeAnalysis>(functions_);
    add<llvm::ScalarEvolutionAnalysis>(functions_);
    add<llvm::ScopedNoAliasAA>(functions_);
    add<llvm::TypeBasedAA>(functions_);
    functions_.registerPass([&] { return machine.getTargetIRAnalysis(); });
    functions_.registerPass(
        [&] { return llvm::TargetLibraryAnalysis(llvm::TargetLibraryInfoImpl(module.getTargetTriple())); });
    functions_.registerPass([] {
      // The first that knows answers. Halide gives each buffer a type of its own, so this one mostly does, without a
      // look at addresses.
      llvm::AAManager aliases;
      aliases.registerFunctionAnalysis<llvm::TypeBasedAA>();
      aliases.registerFunctionAnalysis<llvm::ScopedNoAliasAA>();
      aliases.registerFunctionAnalysis<llvm::BasicAA>();
      return aliases;
    });
    add<llvm::PassInstrumentationAnalysis>(modules_);
    add<llvm::ProfileSummaryAnalysis>(modules_);
    add<llvm::PassInstrumentationAnalysis>(loops_);
    modules_.registerPass([&] { return llvm::FunctionAnalysisManagerModuleProxy(functions_); });
    functions_.registerPass([&] { return llvm::ModuleAnalysisManagerFunctionProxy(modules_); });
    functions_.registerPass([&] { return llvm::LoopAnalysisManagerFunctionProxy(loops_); });
    loops_.registerPass([&] { return llvm::FunctionAnalysisManagerLoopProxy(functions_); });
  }

  llvm::ModuleAnalysisManager& ofModules() { return modules_; }

private:
  llvm::LoopAnalysisManager loops_; // in this order: each refers to those above it
  llvm::FunctionAnalysisManager functions_;
  llvm::ModuleAnalysisManager modules_;

  template <class Analysis, class Manager> static void add(Manager& manager) {
    manager.registerPass([] { return Analysis(); });
  }
};

llvm::SimplifyCFGOptions lateControlFlow() {
  return llvm::SimplifyCFGOptions().convertSwitchRangeToICmp(true).hoistCommonInsts(true).sinkCommonInsts(true);
}

/// Makes `alloca float, i32 96`, as Halide writes it, `alloca [96 x float]`: the replacement of aggregates by registers
/// leaves the first form in memory, so that accumulators of a tile would stay there.
void typeStackArrays(llvm::Module& module) {
  for (llvm::Function& function : module) {
    for (llvm::Instruction& instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
      auto* old = llvm::dyn_cast<llvm::AllocaInst>(&instruction);
      auto* count = old && old->isArrayAllocation() ? llvm::dyn_cast<llvm::ConstantInt>(old->getArraySize()) : nullptr;
      if (count) {
        auto* array = llvm::ArrayType::get(old->getAllocatedType(), count->getZExtValue());
        auto* typed =
            new llvm::AllocaInst(array, old->getAddressSpace(), nullptr, old->getAlign(), "", old->getIterator());
        typed->takeName(old);
        old->replaceAllUsesWith(typed);
        old->eraseFromParent();
      }
    }
  }
}

/// Halide promises LLVM that no operation takes or gives an infinity or NaN, so that LLVM may put anything in the place
/// of x / 0, and leave the store of it out. What remains allowed is to contract, to reassociate, and to multiply by
/// reciprocals.
void keepInfinitiesAndNaNs(llvm::Module& module) {
  for (llvm::Function& function : module) {
    function.removeFnAttr("no-infs-fp-math");
    function.removeFnAttr("no-nans-fp-math");
    for (llvm::Instruction& instruction : llvm::instructions(function)) {
      if (llvm::isa<llvm::FPMathOperator>(instruction)) {
        instruction.setHasNoInfs(false);
        instruction.setHasNoNaNs(false);
      }
    }
  }
}

} // namespace

void runKernelPasses(llvm::Module& module, llvm::TargetMachine& machine) {
  typeStackArrays(module);
  keepInfinitiesAndNaNs(module);
  Analyses analyses(module, machine);
  llvm::ModulePassManager passes;
  passes.addPass(llvm::AlwaysInlinerPass());
  llvm::FunctionPassManager each;
  each.addPass(llvm::SimplifyCFGPass());
  each.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  each.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
  each.addPass(llvm::InstCombinePass());
  each.addPass(llvm::SimplifyCFGPass());
  llvm::LoopPassManager loops;
  loops.addPass(llvm::LoopRotatePass());
  loops.addPass(llvm::LICMPass(llvm::LICMOptions()));
  each.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(loops), /*UseMemorySSA=*/true));
  each.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true)); // of what the loops do not repeat
  each.addPass(llvm::InstCombinePass());
  each.addPass(llvm::DSEPass());
  each.addPass(llvm::VectorCombinePass());
  each.addPass(llvm::InstCombinePass());
  each.addPass(llvm::createFunctionToLoopPassAdaptor(llvm::LICMPass(llvm::LICMOptions()), /*UseMemorySSA=*/true));
  each.addPass(llvm::SimplifyCFGPass(lateControlFlow()));
  passes.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(each)));
  passes.run(module, analyses.ofModules());
}

} // namespace dnn::codegen
