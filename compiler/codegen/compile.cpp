#include "compiler/codegen/compile.h"

#include "compiler/codegen/build_id.h"
#include "compiler/codegen/compile_kernel.h"
#include "compiler/codegen/compile_kernels.h"
#include "compiler/codegen/halide_backend.h"
#include "compiler/codegen/llvm/emit_step.h"
#include "compiler/codegen/lower_program.h"
#include "compiler/codegen/lower_step.h"
#include "compiler/schedule/schedule.h"
#include "compiler/schedule/scratch.h"

#include <algorithm>
#include <chrono>

namespace dnn::codegen {

namespace {

std::vector<KernelTask> makeTasks(const LoweredProgram& lowered, const schedule::Machine& machine,
                                  schedule::Sums sums) {
  std::vector<KernelTask> tasks;
  for (const schedule::Kernel& kernel : lowered.kernels.kernels) {
    tasks.push_back({&kernel, kernel.function->name, schedule::chooseSchedule(kernel, machine, sums)});
  }
  return tasks;
}

/// Calls `work` and reports how long it took.
template <class F> auto timed(const CompileOptions& options, const char* what, F&& work) {
  auto begin = std::chrono::steady_clock::now();
  auto result = work();
  if (options.observe) {
    options.observe(what, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return result;
}

/// The step functions, complete but for the encoded plan.
StepProgram makeSteps(const graph::Module& module, const LoweredProgram& lowered,
                      const std::vector<schedule::KernelObject>& kernels) {
  std::vector<StepProgram::KernelSymbol> symbols;
  for (const schedule::KernelObject& kernel : kernels) {
    symbols.push_back({kernel.name, kernel.args});
  }
  StepProgram program = lowerSteps(module, lowered.kernels, lowered.memory, std::move(symbols));
  program.plan = plan::encode(lowered.plan);
  return program;
}

struct Steps {
  LoweredProgram lowered;
  CompiledKernels kernels;
  StepProgram steps;
};

Result<Steps> compileToSteps(graph::Module& module, plan::Plan plan, const CompileOptions& options) {
  Result<schedule::Machine> machine = schedule::machineFor(options.target);
  if (!machine) {
    return machine.error();
  }
  Steps result{
      .lowered = timed(options, "outline kernels, plan memory", [&] { return lowerProgram(module, std::move(plan)); })};
  result.lowered.plan.target = machine->target;
  result.lowered.plan.compilerVersion = "dnnc " DNNC_VERSION;
  auto tasks = timed(options, "choose schedules", [&] { return makeTasks(result.lowered, *machine, options.sums); });
  auto kernels = compileKernels(tasks, *machine, options);
  if (!kernels) {
    return kernels.error();
  }
  result.kernels = std::move(*kernels);
  result.steps = makeSteps(module, result.lowered, result.kernels.objects);
  auto symbol = [](size_t variant) {
    return variant == 0 ? std::string("dnn_module") : "dnn_module_" + std::to_string(variant);
  };
  result.steps.symbol = symbol(options.variant);
  result.steps.next = options.variant + 1 < options.variants ? symbol(options.variant + 1) : "";
  return result;
}

} // namespace

Result<CompiledProgram> compileProgram(graph::Module& module, plan::Plan plan, const CompileOptions& options) {
  auto compiled = compileToSteps(module, std::move(plan), options);
  if (!compiled) {
    return compiled.error();
  }
  auto object = timed(options, "step functions", [&] { return stepObject(compiled->steps); });
  if (!object) {
    return object.error();
  }
  CompiledProgram program;
  for (schedule::KernelObject& kernel : compiled->kernels.objects) {
    program.objects.push_back(std::move(kernel.bytes));
  }
  program.objects.push_back(std::move(*object));
  if (options.timed) {
    compiled->steps.timed = true;
    auto timed = stepObject(compiled->steps);
    if (!timed) {
      return timed.error();
    }
    program.timedSteps = std::move(*timed);
  }
  program.plan = std::move(compiled->lowered.plan);
  program.kernels = compiled->kernels.objects.size();
  program.cachedKernels = compiled->kernels.cached;
  program.cacheProblem = std::move(compiled->kernels.cacheProblem);
  return program;
}

Result<std::string> compilerIdentity(const std::string& target) {
  Result<schedule::Machine> machine = schedule::machineFor(target);
  if (!machine) {
    return machine.error();
  }
  return kernelCompilerIdentity() + ", program " + buildIdOf("/proc/self/exe") + "\n" + schedule::print(*machine);
}

Result<uint64_t> scratchBytes(graph::Module& module, plan::Plan plan, const CompileOptions& options) {
  Result<schedule::Machine> machine = schedule::machineFor(options.target);
  if (!machine) {
    return machine.error();
  }
  LoweredProgram lowered = lowerProgram(module, std::move(plan));
  int64_t first = 0; // of the thread that calls kernels
  int64_t others = 0;
  for (const KernelTask& task : makeTasks(lowered, *machine, options.sums)) {
    schedule::Scratch scratch = schedule::scratchOf(*task.kernel, task.schedule);
    first = std::max(first, scratch.shared + scratch.perThread);
    others = std::max(others, scratch.perThread);
  }
  return static_cast<uint64_t>(first + (options.threads - 1) * others);
}

Result<std::string> emitMemory(graph::Module& module, plan::Plan plan) {
  LoweredProgram lowered = lowerProgram(module, std::move(plan));
  return transform::print(lowered.memory, module);
}

namespace {

/// The text that `describe` makes of each kernel, under the kernel's own text as a comment.
template <class F>
Result<std::string> emitKernels(graph::Module& module, plan::Plan plan, const CompileOptions& options,
                                std::string_view comment, F&& describe) {
  Result<schedule::Machine> machine = schedule::machineFor(options.target);
  if (!machine) {
    return machine.error();
  }
  LoweredProgram lowered = lowerProgram(module, std::move(plan));
  std::string text;
  for (const KernelTask& task : makeTasks(lowered, *machine, options.sums)) {
    std::string function = graph::print(*task.kernel->function);
    for (size_t start = 0; start < function.size();) {
      size_t end = function.find('\n', start);
      text += std::string(comment) + function.substr(start, end - start) + "\n";
      start = end == std::string::npos ? function.size() : end + 1;
    }
    Result<std::string> description = describe(task, *machine);
    if (!description) {
      return description.error();
    }
    text += *description + "\n";
  }
  return text;
}

} // namespace

Result<std::string> emitSchedules(graph::Module& module, plan::Plan plan, const CompileOptions& options) {
  return emitKernels(module, std::move(plan), options, "// ", [](const KernelTask& task, const schedule::Machine&) {
    return Result<std::string>(schedule::print(task.schedule));
  });
}

Result<std::string> emitLoopNests(graph::Module& module, plan::Plan plan, const CompileOptions& options) {
  auto halide = halideBackend();
  if (!halide) {
    return halide.error();
  }
  return emitKernels(module, std::move(plan), options, "// ",
                     [&](const KernelTask& task, const schedule::Machine& machine) {
                       return (*halide)->loopNest(*task.kernel, task.schedule, machine, task.name);
                     });
}

Result<std::string> emitLlvm(graph::Module& module, plan::Plan plan, const CompileOptions& options) {
  auto program = compileToSteps(module, std::move(plan), options);
  return program ? stepIr(program->steps) : program.error();
}

Result<std::string> emitAssembly(graph::Module& module, plan::Plan plan, const CompileOptions& options) {
  Result<schedule::Machine> machine = schedule::machineFor(options.target);
  if (!machine) {
    return machine.error();
  }
  auto program = compileToSteps(module, std::move(plan), options);
  if (!program) {
    return program.error();
  }
  auto halide = halideBackend();
  if (!halide) {
    return halide.error();
  }
  std::string text;
  for (const KernelTask& task : makeTasks(program->lowered, *machine, options.sums)) {
    auto kernel = assembleKernel((*halide)->lowerKernels, *task.kernel, task.schedule, *machine, task.name);
    if (!kernel) {
      return kernel.error();
    }
    text += *kernel + "\n";
  }
  auto steps = stepAssembly(program->steps);
  return steps ? Result<std::string>(text + *steps) : steps.error();
}

} // namespace dnn::codegen
