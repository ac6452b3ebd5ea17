// The command line of a compiled program: what an executable's `main` does, and what `dnnc run` does in process.
#pragma once

#include "runtime/include/dnn/abi.h"

namespace dnn::runtime {

/// Runs the command in argv (argv[0] is the program's name in messages) and returns the exit code of the process.
/// Prints results to standard output and errors to standard error. Throws nothing.
int runMain(const DnnModule& module, int argc, char** argv);

} // namespace dnn::runtime
