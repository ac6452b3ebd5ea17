// What must hold of a source before it is cut into tokens.
#pragma once

#include "compiler/diag/diagnostics.h"

namespace dnn::frontend {

/// Reports a text that is too large, holds a zero byte, or is not UTF-8 (at the first wrong byte).
bool checkText(diag::FileId file, diag::Diagnostics& diags);

/// Length in bytes of the UTF-8 sequence at the start of `text`, 0 if it is malformed (overlong forms, surrogates and
/// values beyond U+10FFFF are).
size_t utf8Length(std::string_view text);

} // namespace dnn::frontend
