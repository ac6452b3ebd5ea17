// The tokens of a source, checked as far as that is possible before parsing: characters that mean nothing, brackets
// that do not pair, and nesting that would exhaust the stack of a recursive parser.
#pragma once

#include "compiler/diag/diagnostics.h"

#include "antlr4-runtime.h"

#include <memory>
#include <vector>

namespace dnn::frontend {

/// Positions in bytes of a text that ANTLR sees as code points.
class Offsets {
public:
  explicit Offsets(std::string_view text);
  /// The byte at which the code point with this index begins. One past the last is the text's length.
  uint32_t byteOf(size_t codePoint) const;
  /// How many bytes of byte-order mark precede the first code point.
  uint32_t start() const { return start_; }

private:
  uint32_t start_ = 0;
  std::vector<uint32_t> bytes_; // empty if the text is ASCII
};

struct Tokens {
  // Tokens read their text from these.
  std::unique_ptr<antlr4::ANTLRInputStream> input;
  std::unique_ptr<antlr4::Lexer> lexer;

  std::vector<std::unique_ptr<antlr4::Token>> owned; // ends with EOF; the parser takes them
  std::vector<const antlr4::Token*> list;            // the same
  /// For each token the number of brackets around it; an opening and its closing bracket have the same.
  std::vector<uint32_t> depth;
  /// Tokens behind something that was no token: a syntax error there is a consequence.
  std::vector<bool> tainted;
  /// Byte offset of the first bracket without a partner: syntax errors from there on are consequences. Else UINT32_MAX.
  uint32_t firstBadBracket = UINT32_MAX;
};

diag::SourceRange rangeOf(diag::FileId file, const Offsets& offsets, const antlr4::Token& token);

/// Null if the source must not be parsed (too many tokens, nested too deep); then and for every wrong token a
/// diagnostic was reported. Wrong tokens are left out, or stand for what they were meant to be.
std::unique_ptr<Tokens> scanTokens(diag::FileId file, const Offsets& offsets, diag::Diagnostics& diags);

} // namespace dnn::frontend
