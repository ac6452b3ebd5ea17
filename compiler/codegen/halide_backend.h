// The door to Halide: the module beside the running program, loaded when it is first needed.
#pragma once

#include "compiler/codegen/halide/backend.h"
#include "compiler/support/result.h"

#include <string>

namespace dnn::codegen {

/// Loads the module, once. An error says what is missing where.
Result<const HalideFunctions*> halideBackend();

/// Identifies the code that compiles kernels without loading it: the same for the same bytes, different after every
/// change to them. Part of cache keys.
std::string halideBackendIdentity();

} // namespace dnn::codegen
