// What the exit codes of `dnnc` and of the executables that it makes mean.
#pragma once

namespace dnn::driver {

enum ExitCode : int {
  kSuccess = 0,
  kInputError = 1,     ///< the source, the data or a checkpoint is wrong
  kUsageError = 2,     ///< the command line is wrong
  kDiverged = 3,       ///< training ended in NaN or infinity; gradcheck found a wrong gradient
  kIoError = 4,        ///< a file could not be read or written
  kInternalError = 70, ///< a bug in the compiler
};

} // namespace dnn::driver
