// `dnnc`. Exit codes are in exit_code.h.
#include "compiler/driver/command_line.h"
#include "compiler/driver/commands.h"
#include "compiler/driver/exit_code.h"
#include "compiler/driver/large_stack.h"
#include "compiler/support/assert.h"

#include <cstdio>
#include <exception>
#include <new>

namespace dnn::driver {

namespace {

int runCommandOf(const Options& options, std::function<int()>& program) {
  switch (options.command) {
  case Command::Check: return checkCommand(options);
  case Command::Run: return runCommand(options, program);
  case Command::Build: return buildCommand(options);
  case Command::Emit: return emitCommand(options);
  case Command::Summary: return summaryCommand(options);
  case Command::GradCheck: return gradCheckCommand(options);
  case Command::Time: return timeCommand(options);
  case Command::Explain: return explainCommand(options);
  case Command::Fmt: return fmtCommand(options);
  }
  DNN_UNREACHABLE("every command is carried out");
}

int run(int argc, char** argv) {
  std::variant<Options, int> parsed = parseCommandLine(argc, argv);
  if (const int* code = std::get_if<int>(&parsed)) {
    return *code;
  }
  int code = kInternalError;
  std::function<int()> program;
  runOnLargeStack([&] { code = runCommandOf(std::get<Options>(parsed), program); });
  return code == kSuccess && program ? program() : code;
}

} // namespace

} // namespace dnn::driver

int main(int argc, char** argv) {
  try {
    return dnn::driver::run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "dnnc: this needs more memory than there is\n");
  } catch (const std::exception& thrown) {
    std::fprintf(stderr, "dnnc: internal error: %s; please report this with the input\n", thrown.what());
  } catch (...) {
    std::fprintf(stderr, "dnnc: internal error; please report this with the input\n");
  }
  return dnn::driver::kInternalError;
}
