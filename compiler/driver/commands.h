// What each command of `dnnc` does. All return the exit code; errors have been printed then.
#pragma once

#include "compiler/driver/options.h"

#include <functional>

namespace dnn::driver {

int checkCommand(const Options& options);
int emitCommand(const Options& options);
int summaryCommand(const Options& options);
int gradCheckCommand(const Options& options);
int timeCommand(const Options& options);
int explainCommand(const Options& options);
int fmtCommand(const Options& options);
int buildCommand(const Options& options);
/// Compiles; the program itself runs when the caller calls `program`, which is set if the code is kSuccess, on the
/// process's main thread and without anything of the compiler alive but the code.
int runCommand(const Options& options, std::function<int()>& program);

} // namespace dnn::driver
