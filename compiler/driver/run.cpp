#include "compiler/driver/code.h"
#include "compiler/driver/commands.h"
#include "compiler/driver/exit_code.h"
#include "compiler/driver/interpreted_program.h"
#include "compiler/driver/program_cache.h"
#include "runtime/cli/run_main.h"

#include <cstdio>
#include <memory>

namespace dnn::driver {

namespace {

/// The program's command line: what stood behind FILE, after those of dnnc's options that are the program's too.
std::vector<std::string> programArguments(const Options& options) {
  std::vector<std::string> arguments = {"dnnc run " + options.file};
  if (options.threads > 0) {
    arguments.push_back("--threads=" + std::to_string(options.threads));
  }
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  return arguments;
}

/// Calls `use(argc, argv)`.
template <class Use> auto withArguments(std::vector<std::string> arguments, Use&& use) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) {
    argv.push_back(argument.data());
  }
  int argc = static_cast<int>(argv.size());
  argv.push_back(nullptr);
  return use(argc, argv.data());
}

int runProgram(const DnnModule& module, const std::vector<std::string>& arguments,
               runtime::LoadAhead* ahead = nullptr) {
  return withArguments(arguments, [&](int argc, char** argv) { return runtime::runMain(module, argc, argv, ahead); });
}

int interpret(const Options& options, std::function<int()>& program) {
  auto pipeline = std::make_shared<Pipeline>(options); // shared: a std::function can be copied
  if (int code = pipeline->runTo(Pipeline::Stage::Optimize); code != kSuccess) {
    return code;
  }
  if (pipeline->program().combinations > 1) {
    std::fprintf(stderr, "dnnc: the interpreter runs no sweeps; give each name a single value\n");
    return kInputError;
  }
  auto interpreted = InterpretedProgram::make(pipeline->module(), pipeline->program().plan);
  if (!interpreted) {
    std::fprintf(stderr, "dnnc: %s\n", interpreted.error().message.c_str());
    return kInputError;
  }
  std::shared_ptr<InterpretedProgram> shared = std::move(*interpreted);
  program = [pipeline, shared, arguments = programArguments(options)] {
    return runProgram(shared->module(), arguments);
  };
  return kSuccess;
}

} // namespace

int runCommand(const Options& options, std::function<int()>& program) {
  if (options.interpret) {
    return interpret(options, program);
  }
  std::shared_ptr<runtime::LoadAhead> ahead; // shared: a std::function can be copied
  Result<std::unique_ptr<codegen::JitProgram>> loaded = Error{};
  ProgramCache cache(options, compileOptions(options));
  if (auto objects = cache.find()) {
    loaded = codegen::JitProgram::load(*objects, hostSymbols());
  } else {
    Pipeline pipeline(options);
    codegen::CompiledProgram compiled;
    ProgramInputs inputs;
    auto readAhead = [&] {
      ahead = withArguments(programArguments(options), [&](int argc, char** argv) {
        return runtime::loadAhead(pipeline.program().plan, argc, argv);
      });
    };
    if (int code = compile(pipeline, options, compiled, inputs, readAhead); code != kSuccess) {
      return code;
    }
    cache.store(inputs, compiled.objects);
    pipeline.timed("load", [&] { loaded = codegen::JitProgram::load(compiled.objects, hostSymbols()); });
  }
  if (!loaded) {
    return failToCompile(loaded.error());
  }
  std::shared_ptr<codegen::JitProgram> shared = std::move(*loaded);
  program = [shared, ahead, arguments = programArguments(options)] {
    return runProgram(shared->module(), arguments, ahead.get());
  };
  return kSuccess;
}

} // namespace dnn::driver
