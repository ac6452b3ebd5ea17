// Links compiled objects and the runtime to a native executable.
#pragma once

#include "compiler/support/result.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace dnn::codegen {

/// Writes a position independent executable for x86-64 Linux that needs libc and libm and nothing else. The objects
/// must define `dnn_module`; `main` and everything it needs come from the runtime's libraries, found beside the running
/// program (`<its folder>/` or `<its folder>/../lib/dnnc/`) or else where they were built. The same objects give the
/// same bytes. `undefined` are symbols that the libraries must define although no object asks for them. An existing
/// file is replaced when linking has succeeded. Errors: no linker, no runtime, what the linker says.
Status linkExecutable(std::span<const std::vector<uint8_t>> objects, const std::vector<std::string>& undefined,
                      const std::string& outPath);

} // namespace dnn::codegen
