#include "compiler/codegen/llvm/link.h"
#include "compiler/driver/code.h"
#include "compiler/driver/commands.h"
#include "compiler/driver/exit_code.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace dnn::driver {

int buildCommand(const Options& options) {
  namespace fs = std::filesystem;
  std::string output = options.output;
  if (output.empty()) {
    output = fs::path(options.file).stem().string();
  }
  std::error_code ignored; // then linking says what is wrong
  if (fs::equivalent(output, options.file, ignored)) {
    std::fprintf(stderr, "dnnc: the executable would replace the source %s; name another one with -o\n",
                 options.file.c_str());
    return kUsageError;
  }
  Pipeline pipeline(options);
  codegen::CompiledProgram compiled;
  if (int code = compile(pipeline, options, compiled); code != kSuccess) {
    return code;
  }
  bool images = std::ranges::any_of(
      compiled.plan.sources, [](const plan::Source& source) { return source.kind == plan::Source::Kind::Images; });
  std::vector<std::string> undefined;
  if (images) {
    undefined.emplace_back("dnn_load_images"); // with the decoders, which other executables need not carry
  }
  Status linked = success();
  pipeline.timed("link", [&] { linked = codegen::linkExecutable(compiled.objects, undefined, output); });
  if (!linked) {
    std::fprintf(stderr, "dnnc: %s\n", linked.error().message.c_str());
    return kIoError;
  }
  return kSuccess;
}

} // namespace dnn::driver
