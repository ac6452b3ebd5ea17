#include "compiler/driver/code.h"

#include "compiler/driver/exit_code.h"
#include "runtime/pool/kernel_abi.h"
#include "runtime/support/resources.h"

#include <cstdio>
#include <set>

namespace dnn::driver {

codegen::CompileOptions compileOptions(const Options& options) {
  codegen::CompileOptions compile;
  compile.target = options.target;
  compile.sums = options.strict ? schedule::Sums::Direct : schedule::Sums::Fast;
  compile.timed = options.command == Command::Time;
  compile.threads = options.threads > 0 ? options.threads : runtime::availableCpus();
  if (options.useCache) {
    compile.cacheFolder = options.cacheDir.empty() ? codegen::defaultCacheFolder() : options.cacheDir;
  }
  return compile;
}

std::vector<codegen::HostSymbol> hostSymbols() {
  return {{"halide_do_par_for", reinterpret_cast<void*>(&halide_do_par_for)},
          {"halide_malloc", reinterpret_cast<void*>(&halide_malloc)},
          {"dnn_distinct", reinterpret_cast<void*>(&dnn_distinct)},
          {"halide_free", reinterpret_cast<void*>(&halide_free)}};
}

int failToCompile(const Error& error) {
  std::fprintf(stderr, "dnnc: internal error: %s%s%s; please report this with the input\n", error.where.c_str(),
               error.where.empty() ? "" : ": ", error.message.c_str());
  return kInternalError;
}

namespace {

int compileOne(Pipeline& pipeline, codegen::CompileOptions how, codegen::CompiledProgram& compiled,
               const std::function<void()>& checked) {
  if (int code = pipeline.runTo(Pipeline::Stage::Fuse); code != kSuccess) {
    return code;
  }
  if (checked) {
    checked();
  }
  how.variants = pipeline.program().combinations;
  how.observe = [&](const std::string& part, double seconds) { pipeline.notePart(part, seconds); };
  Result<codegen::CompiledProgram> result = Error{};
  pipeline.timed("generate code",
                 [&] { result = codegen::compileProgram(pipeline.module(), pipeline.program().plan, how); });
  if (!result) {
    return failToCompile(result.error());
  }
  compiled = std::move(*result);
  return kSuccess;
}

} // namespace

int compile(Pipeline& pipeline, const Options& options, codegen::CompiledProgram& compiled, ProgramInputs& inputs,
            const std::function<void()>& checked) {
  codegen::CompileOptions how = compileOptions(options);
  if (int code = compileOne(pipeline, how, compiled, checked); code != kSuccess) {
    return code;
  }
  inputs = pipeline.inputs();
  // The other combinations of a sweep: kernels that are the same for several are there once.
  std::set<std::vector<uint8_t>> known(compiled.objects.begin(), compiled.objects.end());
  size_t combinations = pipeline.program().combinations;
  for (how.variant = 1; how.variant < combinations; ++how.variant) {
    Pipeline other(options, how.variant);
    codegen::CompiledProgram more;
    if (int code = compileOne(other, how, more, nullptr); code != kSuccess) {
      return code;
    }
    inputs.add(other.inputs());
    for (std::vector<uint8_t>& object : more.objects) {
      if (known.insert(object).second) {
        compiled.objects.push_back(std::move(object));
      }
    }
  }
  if (!compiled.cacheProblem.empty()) {
    std::fprintf(stderr, "dnnc: warning: kernels are not cached: %s\n", compiled.cacheProblem.c_str());
  }
  return kSuccess;
}

int compile(Pipeline& pipeline, const Options& options, codegen::CompiledProgram& compiled) {
  ProgramInputs inputs;
  return compile(pipeline, options, compiled, inputs);
}

} // namespace dnn::driver
