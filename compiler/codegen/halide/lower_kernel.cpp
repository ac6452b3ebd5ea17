#include "compiler/codegen/halide/lower_kernel.h"

#include "compiler/codegen/halide/lower_pipeline.h"
#include "compiler/codegen/halide/no_optimization.h"
#include "compiler/codegen/halide/pipeline.h"
#include "compiler/support/assert.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>
#include <optional>
#include <sys/mman.h>
#include <sys/stat.h>
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
  if (!options.checked) {
    return lowerPipeline(built, name, targetOf(machine, options));
  }
  return built.pipeline.compile_to_module(built.arguments, name, targetOf(machine, options),
                                          Halide::LinkageType::External);
}

/// Halide writes bitcode to files only; this one never reaches a disk.
class MemoryFile {
public:
  MemoryFile() : file_(memfd_create("kernel", MFD_CLOEXEC)) {}
  ~MemoryFile() {
    if (file_ >= 0) {
      close(file_);
    }
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  /// Empty if there is none.
  std::string path() const { return file_ < 0 ? "" : "/proc/self/fd/" + std::to_string(file_); }

  std::vector<uint8_t> bytes() const {
    struct stat about{};
    std::vector<uint8_t> bytes(fstat(file_, &about) == 0 ? static_cast<size_t>(about.st_size) : 0);
    size_t at = 0;
    for (ssize_t got = 1; at < bytes.size() && got > 0; at += static_cast<size_t>(got)) {
      got = std::max<ssize_t>(pread(file_, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at)), 0);
    }
    bytes.resize(at);
    return bytes;
  }

private:
  int file_;
};

} // namespace

Result<std::vector<LoweredKernel>> lowerKernels(const NextKernel& next, const schedule::Machine& machine,
                                                const KernelOptions& options) {
  // One strict operation changes how Halide marks all operations of a module, so those that have some are apart.
  struct Group {
    std::optional<Halide::Module> module;
    std::vector<size_t> members;
  };
  Group groups[2];
  std::vector<LoweredKernel> lowered;
  while (std::optional<KernelRequest> request = next()) {
    auto begin = std::chrono::steady_clock::now();
    LoweredKernel& kernel = lowered.emplace_back();
    Result<bool> added = guarded(request->name, [&] {
      BuiltPipeline built = PipelineBuilder(*request->kernel, *request->schedule).build();
      Halide::Module module = moduleOf(built, request->name, machine, options);
      kernel.name = request->name;
      kernel.args = std::move(built.kernelArgs);
      Group& group = groups[module.any_strict_float() ? 1 : 0];
      group.members.push_back(lowered.size() - 1);
      if (!group.module) {
        group.module = module;
      } else {
        for (const Halide::Internal::LoweredFunc& function : module.functions()) {
          group.module->append(function);
        }
      }
      return true;
    });
    if (!added) {
      return added.error();
    }
    kernel.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  for (const Group& group : groups) {
    if (!group.module) {
      continue;
    }
    MemoryFile file;
    if (file.path().empty()) {
      return Error{"cannot make a file in memory: " + std::string(std::strerror(errno)), ""};
    }
    Result<bool> written = guarded(lowered[group.members[0]].name, [&] {
      uint64_t leftOut = optimizationsLeftOut;
      group.module->compile({{Halide::OutputFileType::bitcode, file.path()}});
      DNN_ASSERT(optimizationsLeftOut == leftOut + 1, "Halide calls our function instead of its own passes");
      return true;
    });
    if (!written) {
      return written.error();
    }
    auto bitcode = std::make_shared<const std::vector<uint8_t>>(file.bytes());
    for (size_t member : group.members) {
      lowered[member].bitcode = bitcode;
    }
  }
  return lowered;
}

Result<std::string> loopNest(const schedule::Kernel& kernel, const schedule::Schedule& schedule,
                             const schedule::Machine&, const std::string& name) {
  return guarded(name, [&] {
    BuiltPipeline built = PipelineBuilder(kernel, schedule).build();
    std::vector<Halide::Internal::Function> outputs;
    for (const Halide::Func& func : built.pipeline.outputs()) {
      outputs.push_back(func.function());
    }
    return Halide::Internal::print_loop_nest(outputs);
  });
}

std::string halideVersion() {
  return std::to_string(HALIDE_VERSION_MAJOR) + "." + std::to_string(HALIDE_VERSION_MINOR) + "." +
         std::to_string(HALIDE_VERSION_PATCH);
}

} // namespace dnn::codegen
