// Tokens of the IR text. `%` begins a value's name or is the remainder operator, and `@` begins a name of path
// characters: only the parser knows which, so it asks for the rest of the name with takeName.
#pragma once

#include "compiler/support/result.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dnn::graph {

struct Token {
  enum class Kind : uint8_t { End, Identifier, Number, String, Punctuation };
  Kind kind = Kind::End;
  std::string_view text; ///< as written; a string with its quotes
  size_t offset = 0;
};

/// After the first error, at() gives End for ever, so loops that stop at End need no other check.
class Lexer {
public:
  Lexer(std::string_view text, std::string_view fileName);

  const Token& at() const { return token_; }
  bool isAt(std::string_view text) const { return token_.kind != Token::Kind::String && token_.text == text; }
  void advance();
  /// Advances if at this text.
  bool take(std::string_view text);
  /// Advances over this text or fails: "expected `:`".
  bool expect(std::string_view text);

  std::optional<std::string> identifier(std::string_view what);
  std::optional<std::string> string(std::string_view what);
  std::optional<int64_t> integer(std::string_view what);
  /// The name that directly follows a `%`: letters, digits, `_`, `.`.
  std::optional<std::string> valueName();
  /// @path or @"any text".
  std::optional<std::string> symbol();

  /// Keeps the first error; its place is the current token, or the given offset.
  void fail(std::string message);
  void failAt(size_t offset, std::string message);
  bool failed() const { return error_.has_value(); }
  const Error& error() const { return *error_; }
  /// What stands here, for messages: "`foo`" or "the end of the text".
  std::string found() const;

private:
  void skipBlanks();
  size_t scanNumber(size_t from) const;

  std::string_view text_;
  std::string fileName_;
  size_t next_ = 0; // where the token after this one is looked for
  Token token_;
  std::optional<Error> error_;
};

} // namespace dnn::graph
