// The command line of `dnnc`.
#pragma once

#include "compiler/driver/options.h"

#include <variant>

namespace dnn::driver {

/// The options, or the exit code of a run that ends here: help or the version was asked for and printed, or what was
/// written makes no sense and a sentence on stderr says why.
std::variant<Options, int> parseCommandLine(int argc, char** argv);

} // namespace dnn::driver
