#include "compiler/driver/commands.h"
#include "compiler/driver/exit_code.h"
#include "compiler/driver/pipeline.h"

namespace dnn::driver {

// Differentiation is the last stage that can refuse a program. Each combination of a sweep is one of its own; what is
// told is what the first that is refused has, or what the first has.
int checkCommand(const Options& options) {
  constexpr Pipeline::Stage last = Pipeline::Stage::Differentiate;
  Pipeline first(options);
  int code = first.runSilently(last);
  size_t combinations = code == kSuccess && !first.isLibrary() ? first.program().combinations : 1;
  for (size_t i = 1; i < combinations; ++i) {
    Pipeline other(options, i);
    if (int refused = other.runSilently(last); refused != kSuccess) {
      other.report();
      return refused;
    }
  }
  first.report();
  return code;
}

} // namespace dnn::driver
