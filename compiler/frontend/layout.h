// The canonical layout of a file, from its tokens: one statement a line, blocks indented by two, long lines broken
// where the fewest brackets are open. Line breaks of the author count in three places: a block that was opened and
// continued on one line stays on one line if it fits, blank lines between statements stay (one of several), and so do
// comments.
#pragma once

#include <string>
#include <vector>

namespace dnn::frontend {

/// How much a token wants a line break before it, if one is needed: from the second value on less and less, and before
/// `Last` only if there is no other place.
enum class Break : uint8_t { Never, Body, List, Operator, Product, Last };

struct Comment {
  std::string text;       // from `#` on, without blanks at its end
  bool ownLine = false;   // nothing stands before it on its line
  bool blankLine = false; // a blank line before it
};

struct LayoutToken {
  std::string text;
  std::vector<Comment> comments; // before it
  bool newline = false;          // a line break between the token (or comment) before it and it
  bool blankLine = false;        // a blank line before it, behind its comments
  bool startsStatement = false;
  bool glued = false;       // no blank between the token before it and it
  bool opensBlock = false;  // `{`
  bool closesBlock = false; // `}`
  int depth = 0;            // ( and [ that are open around it, in its statement
  Break breakable = Break::Never;
  std::string aligns; // of the first `=` of a statement: lines of one kind ("let") are aligned there
};

constexpr size_t kLineWidth = 120;

/// `last`: the comments behind the last token.
std::string layOut(const std::vector<LayoutToken>& tokens, const std::vector<Comment>& last);

} // namespace dnn::frontend
