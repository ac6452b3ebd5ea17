#include "compiler/frontend/parse.h"

#include "compiler/frontend/ast_builder.h"
#include "compiler/frontend/check_text.h"
#include "compiler/frontend/syntax_errors.h"
#include "compiler/support/assert.h"

namespace dnn::frontend {

std::unique_ptr<ast::File> parseFile(diag::FileId file, diag::Diagnostics& diags) {
  size_t before = diags.errorCount();
  if (!checkText(file, diags)) {
    return nullptr;
  }
  Offsets offsets(diags.sources().text(file));
  std::unique_ptr<Tokens> tokens = scanTokens(file, offsets, diags);
  if (tokens == nullptr) {
    return nullptr;
  }

  antlr4::ListTokenSource source(std::move(tokens->owned));
  antlr4::CommonTokenStream stream(&source);
  syntax::DnnParser parser(&stream);
  parser.removeErrorListeners();
  parser.setErrorHandler(std::make_shared<ErrorStrategy>(file, offsets, *tokens, diags));
  // Every decision of the grammar takes one token, so the parser never predicts: no prediction mode to choose.
  syntax::DnnParser::FileContext* tree = parser.file();
  if (diags.errorCount() != before) {
    return nullptr;
  }
  DNN_ASSERT(parser.getNumberOfSyntaxErrors() == 0, "every syntax error was reported");
  std::unique_ptr<ast::File> out = AstBuilder(file, offsets, diags).file(*tree);
  return diags.errorCount() == before ? std::move(out) : nullptr;
}

} // namespace dnn::frontend
