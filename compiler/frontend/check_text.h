// What must hold of a source before it is cut into tokens.
#pragma once

#include "compiler/diag/diagnostics.h"

namespace dnn::frontend {

/// Reports a text that is too large, holds a zero byte, or is not UTF-8 (at the first wrong byte).
bool checkText(diag::FileId file, diag::Diagnostics& diags);

} // namespace dnn::frontend
