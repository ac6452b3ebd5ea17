// The parse tree of a file, for what works on the file itself.
#pragma once

#include "compiler/diag/diagnostics.h"
#include "compiler/frontend/tokens.h"

#include "DnnParser.h"

#include <functional>

namespace dnn::frontend {

/// Parses the file and, if it has no syntax error, calls `use`; else every one found was reported. Any bytes are a
/// legal input. The tree lives as long as the call. False: there were errors.
bool withParseTree(diag::FileId file, diag::Diagnostics& diags,
                   const std::function<void(syntax::DnnParser::FileContext&, const Offsets&, const Tokens&)>& use);

} // namespace dnn::frontend
