#include "compiler/driver/commands.h"
#include "compiler/driver/exit_code.h"
#include "compiler/driver/pipeline.h"

namespace dnn::driver {

// Differentiation is the last stage that can refuse a program.
int checkCommand(const Options& options) { return Pipeline(options).runTo(Pipeline::Stage::Differentiate); }

} // namespace dnn::driver
