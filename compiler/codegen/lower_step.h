// From the planned graph to the plain data that the LLVM room turns into step functions.
#pragma once

#include "compiler/codegen/llvm/step_program.h"
#include "compiler/transform/memory_plan.h"
#include "compiler/transform/outline_kernels.h"

#include <span>

namespace dnn::codegen {

/// The functions of the module that are entries, in order: the plan's entries have the same order.
std::vector<graph::Function*> entriesOf(const graph::Module& module);

/// Every group becomes a call of its kernel; `symbols` gives name and arguments of each kernel of the table. The
/// encoded plan is left empty.
StepProgram lowerSteps(const graph::Module& module, const transform::KernelTable& kernels,
                       const transform::MemoryPlan& memory, std::vector<StepProgram::KernelSymbol> symbols);

} // namespace dnn::codegen
