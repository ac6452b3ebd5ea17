#include "compiler/codegen/halide/backend.h"

extern "C" const dnn::codegen::HalideFunctions dnnc_halide_functions = {
    &dnn::codegen::lowerKernels,
    &dnn::codegen::loopNest,
};
