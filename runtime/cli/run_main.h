// The command line of a compiled program: what an executable's `main` does, and what `dnnc run` does in process.
#pragma once

#include "runtime/data/load_ahead.h"
#include "runtime/include/dnn/abi.h"

namespace dnn::runtime {

/// Begins to read what the command in argv will train or evaluate with, while the program is compiled. Null where that
/// is nothing, or the arguments are wrong, which runMain says.
std::unique_ptr<LoadAhead> loadAhead(const plan::Plan& plan, int argc, char** argv);

/// Runs the command in argv (argv[0] is the program's name in messages) and returns the exit code of the process.
/// Prints results to standard output and errors to standard error. Throws nothing. `ahead` has read files for the same
/// arguments.
int runMain(const DnnModule& module, int argc, char** argv, LoadAhead* ahead = nullptr);

} // namespace dnn::runtime
