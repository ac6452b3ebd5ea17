// How the parser reports syntax errors and goes on after them.
#pragma once

#include "compiler/frontend/tokens.h"

namespace dnn::frontend {

/// One error per statement: it is reported at the token that does not fit, then parsing goes on at the next statement
/// (or definition) of the same nesting depth. Nothing is inserted or deleted to make the text fit.
class ErrorStrategy : public antlr4::DefaultErrorStrategy {
public:
  ErrorStrategy(diag::FileId file, const Offsets& offsets, const Tokens& tokens, diag::Diagnostics& diags)
      : file_(file), offsets_(offsets), tokens_(tokens), diags_(diags) {}

  void reportError(antlr4::Parser* parser, const antlr4::RecognitionException& e) override;
  void recover(antlr4::Parser* parser, std::exception_ptr e) override;
  antlr4::Token* recoverInline(antlr4::Parser* parser) override;
  void sync(antlr4::Parser* parser) override;

private:
  bool isConsequence(const antlr4::Token& token) const;
  diag::SourceRange rangeOf(const antlr4::Token& token) const { return frontend::rangeOf(file_, offsets_, token); }
  std::string describe(const antlr4::Token& token) const;
  bool startsLine(size_t index) const;
  bool startsStatement(size_t index) const;
  void reportNoStatement(antlr4::Parser* parser);
  void skip(antlr4::Parser* parser, uint32_t depth, bool toDefinition);

  diag::FileId file_;
  const Offsets& offsets_;
  const Tokens& tokens_;
  diag::Diagnostics& diags_;
  /// States passed since the last token was consumed: together they say what could have come.
  size_t seenAt_ = SIZE_MAX;
  std::vector<size_t> seen_;
};

} // namespace dnn::frontend
