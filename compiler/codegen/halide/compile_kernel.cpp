#include "compiler/codegen/halide/compile_kernel.h"

#include "compiler/codegen/halide/pipeline.h"

#include <cstdio>
#include <fstream>
#include <mutex>
#include <sstream>
#include <unistd.h>

namespace Halide::Internal {
// Exported by the library, declared in none of its headers: what Pipeline::print_loop_nest writes to stderr.
std::string print_loop_nest(const std::vector<Function>& outputs);
} // namespace Halide::Internal

namespace dnn::codegen {

namespace {

/// What Halide says about a pipeline; thrown through it, caught below.
struct HalideMessage {
  std::string text;
};

/// Warnings stop the compilation too: with checks compiled out, most of them announce a wrong result.
class Reporter : public Halide::CompileTimeErrorReporter {
public:
  void warning(const char* message) override { throw HalideMessage{message}; }
  void error(const char* message) override { throw HalideMessage{message}; }
};

void installReporter() {
  static Reporter reporter;
  static std::once_flag once;
  std::call_once(once, [] { Halide::set_custom_compile_time_error_reporter(&reporter); });
}

Halide::Target targetOf(const schedule::Machine& machine, const KernelOptions& options) {
  using Halide::Target;
  std::vector<Target::Feature> features = {Target::SSE41, Target::AVX,  Target::AVX2,
                                           Target::FMA,   Target::F16C, Target::NoRuntime};
  if (machine.target == "x86-64-v4") {
    features.push_back(Target::AVX512);
    features.push_back(Target::AVX512_Skylake);
  }
  if (options.checked) {
    features.push_back(Target::CheckUnsafePromises);
  } else {
    features.push_back(Target::NoAsserts);
  }
  features.push_back(Target::NoBoundsQuery);
  return Target(Target::Linux, Target::X86, 64, features);
}

template <class F> auto guarded(const std::string& name, F&& work) -> Result<decltype(work())> {
  installReporter();
  std::string text;
  try {
    return work();
  } catch (const HalideMessage& message) {
    text = message.text;
  } catch (const Halide::Error& error) {
    text = error.what();
  }
  while (!text.empty() && text.back() == '\n') {
    text.pop_back();
  }
  return Error{"the kernel " + name + " cannot be compiled: " + text, ""};
}

Halide::Module moduleOf(BuiltPipeline& built, const std::string& name, const schedule::Machine& machine,
                        const KernelOptions& options) {
  return built.pipeline.compile_to_module(built.arguments, name, targetOf(machine, options),
                                          Halide::LinkageType::External);
}

} // namespace

Result<schedule::KernelObject> compileKernel(const schedule::Kernel& kernel, const schedule::Schedule& schedule,
                                             const schedule::Machine& machine, const KernelOptions& options,
                                             const std::string& name) {
  return guarded(name, [&] {
    BuiltPipeline built = PipelineBuilder(kernel, schedule, name).build();
    Halide::Buffer<uint8_t> bytes = moduleOf(built, name, machine, options).compile_to_buffer();
    return schedule::KernelObject{name, std::move(built.kernelArgs), {bytes.begin(), bytes.end()}};
  });
}

Result<std::string> loopNest(const schedule::Kernel& kernel, const schedule::Schedule& schedule,
                             const schedule::Machine&, const std::string& name) {
  return guarded(name, [&] {
    BuiltPipeline built = PipelineBuilder(kernel, schedule, name).build();
    std::vector<Halide::Internal::Function> outputs;
    for (const Halide::Func& func : built.pipeline.outputs()) {
      outputs.push_back(func.function());
    }
    return Halide::Internal::print_loop_nest(outputs);
  });
}

Result<std::string> assembly(const schedule::Kernel& kernel, const schedule::Schedule& schedule,
                             const schedule::Machine& machine, const std::string& name) {
  const char* folder = std::getenv("TMPDIR");
  std::string path = std::string(folder != nullptr ? folder : "/tmp") + "/dnnc-XXXXXX";
  int file = mkstemp(path.data());
  if (file < 0) {
    return Error{"cannot write a temporary file " + path, ""};
  }
  close(file);
  Result<std::string> result = guarded(name, [&] {
    BuiltPipeline built = PipelineBuilder(kernel, schedule, name).build();
    moduleOf(built, name, machine, {}).compile({{Halide::OutputFileType::assembly, path}});
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  });
  std::remove(path.c_str());
  return result;
}

std::string halideVersion() {
  return std::to_string(HALIDE_VERSION_MAJOR) + "." + std::to_string(HALIDE_VERSION_MINOR) + "." +
         std::to_string(HALIDE_VERSION_PATCH);
}

} // namespace dnn::codegen
