// Source text to AST. The only room that sees ANTLR.
#pragma once

#include "compiler/ast/ast.h"
#include "compiler/diag/diagnostics.h"

#include <memory>

namespace dnn::frontend {

/// Brackets, conditionals and reductions may be nested this deep.
constexpr int kMaxNesting = 200;
/// A source with more tokens is refused before it costs gigabytes.
constexpr size_t kMaxTokens = 500'000;

/// The file as an AST, or null after reporting every syntax error found. Any bytes are a legal input.
std::unique_ptr<ast::File> parseFile(diag::FileId file, diag::Diagnostics& diags);

} // namespace dnn::frontend
