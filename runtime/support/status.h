// How the runtime reports failures: a Status carries the exit code of the program and one sentence for the user (lower
// case, no full stop) that says what is wrong, where, and what to do. No exceptions, no streams.
#pragma once

#include <string>

namespace dnn::runtime {

enum class ExitCode : int {
  Ok = 0,
  BadInput = 1,      // the data, or a file of another program
  Usage = 2,         // the command line
  Diverged = 3,      // NaN or infinity in a loss or parameter
  Io = 4,            // a file that cannot be read or written
  Internal = 70,     // a broken invariant
  Interrupted = 130, // Ctrl-C
};

struct [[nodiscard]] Status {
  ExitCode code = ExitCode::Ok;
  std::string message;

  bool ok() const { return code == ExitCode::Ok; }
};

inline Status success() { return {}; }

__attribute__((format(printf, 2, 3))) Status failure(ExitCode code, const char* format, ...);

} // namespace dnn::runtime
