// A scheduled pipeline → Halide's loops, by those of its passes that a kernel needs.
#pragma once

#include "compiler/codegen/halide/pipeline.h"

#include "Halide.h"

#include <string>

namespace dnn::codegen {

/// What Pipeline::compile_to_module does for a kernel that checks nothing, in less than half of the time: the function
/// `name`, which trusts its arguments to be as the pipeline says, with the functions of its parallel tasks.
Halide::Module lowerPipeline(BuiltPipeline& built, const std::string& name, const Halide::Target& target);

} // namespace dnn::codegen
