#include "compiler/codegen/compile.h"

#include "compiler/codegen/halide/compile_kernel.h"
#include "compiler/codegen/kernel_cache.h"
#include "compiler/codegen/llvm/emit_step.h"
#include "compiler/codegen/lower_program.h"
#include "compiler/codegen/lower_step.h"
#include "compiler/schedule/schedule.h"

#include <algorithm>
#include <atomic>
#include <sys/stat.h>
#include <thread>

namespace dnn::codegen {

namespace {

constexpr uint64_t cacheLimit = 256ULL << 20; // bytes

/// Changes whenever the compiler itself does: its version, and size and time of the running program.
std::string compilerIdentity() {
  struct stat self = {};
  std::string identity = "dnnc " DNNC_VERSION ", Halide " + halideVersion() + ", LLVM " DNN_LLVM_VERSION;
  if (stat("/proc/self/exe", &self) == 0) {
    identity += ", " + std::to_string(self.st_size) + " bytes of " + std::to_string(self.st_mtim.tv_sec) + "." +
                std::to_string(self.st_mtim.tv_nsec);
  }
  return identity;
}

/// One kernel with everything that determines its code.
struct Task {
  const schedule::Kernel* kernel = nullptr;
  std::string name;
  schedule::Schedule schedule;
};

std::vector<Task> makeTasks(const LoweredProgram& lowered, const schedule::Machine& machine) {
  std::vector<Task> tasks;
  for (const schedule::Kernel& kernel : lowered.kernels.kernels) {
    tasks.push_back({&kernel, kernel.function->name, schedule::chooseSchedule(kernel, machine)});
  }
  return tasks;
}

/// The schedule's text holds what else the machine decided.
std::string keyOf(const Task& task, const schedule::Machine& machine, bool checked, const std::string& identity) {
  std::string key = identity + "\n" + machine.target + (checked ? ", checked\n" : "\n");
  key += graph::print(*task.kernel->function);
  for (const std::optional<uint32_t>& input : task.kernel->inPlace) {
    key += input ? "over " + std::to_string(*input) + "\n" : "fresh\n";
  }
  return key + schedule::print(task.schedule);
}

/// Compiles on several threads; the kernels share no mutable state.
class KernelCompiler {
public:
  KernelCompiler(const std::vector<Task>& tasks, const schedule::Machine& machine, const CompileOptions& options)
      : tasks_(tasks), machine_(machine), options_(options), identity_(compilerIdentity()) {
    if (!options.cacheFolder.empty()) {
      cache_ = KernelCache(options.cacheFolder, cacheProblem_);
    }
  }

  Result<std::vector<schedule::KernelObject>> run() {
    results_.resize(tasks_.size());
    size_t helpers = std::clamp<size_t>(static_cast<size_t>(options_.threads), 1, std::max<size_t>(1, tasks_.size()));
    std::vector<std::thread> threads;
    for (size_t i = 1; i < helpers; ++i) {
      threads.emplace_back([this] { work(); });
    }
    work();
    for (std::thread& thread : threads) {
      thread.join();
    }
    if (found_ < tasks_.size()) {
      cache_.trim(cacheLimit);
    }
    std::vector<schedule::KernelObject> objects;
    for (std::optional<Result<schedule::KernelObject>>& result : results_) {
      if (!result->ok()) {
        return result->error();
      }
      objects.push_back(std::move(**result));
    }
    return objects;
  }

  size_t foundInCache() const { return found_; }
  const std::string& cacheProblem() const { return cacheProblem_; }

private:
  const std::vector<Task>& tasks_;
  const schedule::Machine& machine_;
  const CompileOptions& options_;
  std::string identity_;
  KernelCache cache_;
  std::string cacheProblem_;
  std::vector<std::optional<Result<schedule::KernelObject>>> results_;
  std::atomic<size_t> next_ = 0;
  std::atomic<size_t> found_ = 0;

  void work() {
    for (size_t i; (i = next_++) < tasks_.size();) {
      const Task& task = tasks_[i];
      std::string key = keyOf(task, machine_, options_.checked, identity_);
      if (auto cached = cache_.find(key)) {
        ++found_;
        results_[i] = std::move(*cached);
        continue;
      }
      results_[i] = compileKernel(*task.kernel, task.schedule, machine_, {.checked = options_.checked}, task.name);
      if (results_[i]->ok()) {
        cache_.store(key, **results_[i]);
      }
    }
  }
};

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
  std::vector<schedule::KernelObject> kernels;
  StepProgram steps;
  size_t foundInCache = 0;
  std::string cacheProblem;
};

Result<Steps> compileToSteps(graph::Module& module, plan::Plan plan, const CompileOptions& options) {
  Result<schedule::Machine> machine = schedule::machineFor(options.target);
  if (!machine) {
    return machine.error();
  }
  Steps result{.lowered = lowerProgram(module, std::move(plan))};
  result.lowered.plan.target = machine->target;
  result.lowered.plan.compilerVersion = "dnnc " DNNC_VERSION;
  std::vector<Task> tasks = makeTasks(result.lowered, *machine);
  KernelCompiler compiler(tasks, *machine, options);
  auto kernels = compiler.run();
  if (!kernels) {
    return kernels.error();
  }
  result.kernels = std::move(*kernels);
  result.steps = makeSteps(module, result.lowered, result.kernels);
  result.foundInCache = compiler.foundInCache();
  result.cacheProblem = compiler.cacheProblem();
  return result;
}

} // namespace

Result<CompiledProgram> compileProgram(graph::Module& module, plan::Plan plan, const CompileOptions& options) {
  auto compiled = compileToSteps(module, std::move(plan), options);
  if (!compiled) {
    return compiled.error();
  }
  auto object = stepObject(compiled->steps);
  if (!object) {
    return object.error();
  }
  CompiledProgram program;
  for (schedule::KernelObject& kernel : compiled->kernels) {
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
  program.kernels = compiled->kernels.size();
  program.cachedKernels = compiled->foundInCache;
  program.cacheProblem = std::move(compiled->cacheProblem);
  return program;
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
  for (const Task& task : makeTasks(lowered, *machine)) {
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
  return emitKernels(module, std::move(plan), options, "// ", [](const Task& task, const schedule::Machine&) {
    return Result<std::string>(schedule::print(task.schedule));
  });
}

Result<std::string> emitLoopNests(graph::Module& module, plan::Plan plan, const CompileOptions& options) {
  return emitKernels(module, std::move(plan), options, "// ", [](const Task& task, const schedule::Machine& machine) {
    return loopNest(*task.kernel, task.schedule, machine, task.name);
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
  std::string text;
  for (const Task& task : makeTasks(program->lowered, *machine)) {
    auto kernel = assembly(*task.kernel, task.schedule, *machine, task.name);
    if (!kernel) {
      return kernel.error();
    }
    text += *kernel + "\n";
  }
  auto steps = stepAssembly(program->steps);
  return steps ? Result<std::string>(text + *steps) : steps.error();
}

} // namespace dnn::codegen
