#include "compiler/frontend/parse.h"

#include "compiler/frontend/ast_builder.h"
#include "compiler/frontend/check_text.h"
#include "compiler/frontend/parse_tree.h"
#include "compiler/frontend/syntax_errors.h"
#include "compiler/support/assert.h"

namespace dnn::frontend {

bool withParseTree(diag::FileId file, diag::Diagnostics& diags,
                   const std::function<void(syntax::DnnParser::FileContext&, const Offsets&, const Tokens&)>& use) {
  size_t before = diags.errorCount();
  if (!checkText(file, diags)) {
    return false;
  }
  Offsets offsets(diags.sources().text(file));
  std::unique_ptr<Tokens> tokens = scanTokens(file, offsets, diags);
  if (tokens == nullptr) {
    return false;
  }

  antlr4::ListTokenSource source(std::move(tokens->owned));
  antlr4::CommonTokenStream stream(&source);
  syntax::DnnParser parser(&stream);
  parser.removeErrorListeners();
  parser.setErrorHandler(std::make_shared<ErrorStrategy>(file, offsets, *tokens, diags));
  // Every decision of the grammar takes one token, so the parser never predicts: no prediction mode to choose.
  syntax::DnnParser::FileContext* tree = parser.file();
  if (diags.errorCount() != before) {
    return false;
  }
  DNN_ASSERT(parser.getNumberOfSyntaxErrors() == 0, "every syntax error was reported");
  use(*tree, offsets, *tokens);
  return diags.errorCount() == before;
}

std::unique_ptr<ast::File> parseFile(diag::FileId file, diag::Diagnostics& diags) {
  std::unique_ptr<ast::File> out;
  bool ok = withParseTree(file, diags, [&](auto& tree, const Offsets& offsets, const Tokens&) {
    out = AstBuilder(file, offsets, diags).file(tree);
  });
  return ok ? std::move(out) : nullptr;
}

} // namespace dnn::frontend
