// `dnnc fmt`: a file in the canonical layout.
#pragma once

#include "compiler/diag/diagnostics.h"

#include <optional>
#include <string>

namespace dnn::frontend {

/// The same program in the canonical layout, with its comments; none after reporting syntax errors. What this returns
/// is its own layout.
std::optional<std::string> formatFile(diag::FileId file, diag::Diagnostics& diags);

} // namespace dnn::frontend
