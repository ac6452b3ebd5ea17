#include "compiler/frontend/tokens.h"

#include "compiler/frontend/parse.h"

#include "DnnLexer.h"

namespace dnn::frontend {

using diag::DiagId;
using diag::SourceRange;
using syntax::DnnLexer;

Offsets::Offsets(std::string_view text) : start_(text.starts_with("\xEF\xBB\xBF") ? 3 : 0) {
  bool ascii = true;
  for (char c : text.substr(start_)) {
    ascii = ascii && static_cast<unsigned char>(c) < 0x80;
  }
  for (uint32_t at = start_; !ascii && at < text.size();
       at += static_cast<uint32_t>(diag::utf8Length(text.substr(at)))) {
    bytes_.push_back(at);
  }
  if (!ascii) {
    bytes_.push_back(static_cast<uint32_t>(text.size()));
  }
}

uint32_t Offsets::byteOf(size_t codePoint) const {
  return bytes_.empty() ? start_ + static_cast<uint32_t>(codePoint) : bytes_[std::min(codePoint, bytes_.size() - 1)];
}

SourceRange rangeOf(diag::FileId file, const Offsets& offsets, const antlr4::Token& token) {
  uint32_t begin = offsets.byteOf(token.getStartIndex());
  // EOF is empty: its stop lies before its start.
  bool empty = token.getType() == antlr4::Token::EOF;
  return {file, begin, empty ? begin : offsets.byteOf(token.getStopIndex() + 1)};
}

namespace {

/// What was probably meant by a character that other languages use.
std::string hintFor(std::string_view character) {
  struct Habit {
    std::string_view character;
    std::string_view hint;
  };
  static constexpr Habit kHabits[] = {
      {"&", "write `and`"},
      {"!", "write `not`, or `!=`"},
      {"^", "write `pow(a, b)`"},
      {"'", "strings stand in \"double quotes\""},
      {"`", "strings stand in \"double quotes\""},
      {"@", "write the product as a sum: `sum[k] a[i, k] * b[k, j]`"},
      {"\\", "a statement goes on across line breaks by itself"},
  };
  for (const Habit& habit : kHabits) {
    if (habit.character == character) {
      return std::string(habit.hint);
    }
  }
  return "";
}

class Scanner {
public:
  Scanner(diag::FileId file, const Offsets& offsets, diag::Diagnostics& diags)
      : file_(file), offsets_(offsets), diags_(diags) {}

  std::unique_ptr<Tokens> run() {
    std::string_view text = diags_.sources().text(file_);
    out_->input = std::make_unique<antlr4::ANTLRInputStream>(std::string(text.substr(offsets_.start())));
    out_->lexer = std::make_unique<DnnLexer>(out_->input.get());
    antlr4::Lexer& lexer = *out_->lexer;
    lexer.removeErrorListeners(); // every text lexes
    bool tainted = false;
    while (true) {
      std::unique_ptr<antlr4::Token> token = lexer.nextToken();
      size_t type = token->getType();
      if (out_->list.size() == kMaxTokens) {
        diags_.report<DiagId::too_many_tokens>(rangeOf(*token), kMaxTokens).hint("split it into files with `import`");
        return nullptr;
      }
      if (type == DnnLexer::UNKNOWN) {
        reportUnknown(*token);
        tainted = true;
        continue;
      }
      repair(*token);
      if (!place(*token)) {
        return nullptr;
      }
      out_->tainted.push_back(tainted);
      tainted = false;
      out_->list.push_back(token.get());
      out_->owned.push_back(std::move(token));
      if (type == antlr4::Token::EOF) {
        break;
      }
    }
    for (const Open& open : open_) {
      reportUnclosed(open, nullptr);
    }
    return std::move(out_);
  }

private:
  struct Open {
    SourceRange range;
    size_t closer = 0;
    /// Open constructs without brackets since the last comma or statement: `if`, reducers, `else when`.
    int chained = 0;
  };

  SourceRange rangeOf(const antlr4::Token& token) { return frontend::rangeOf(file_, offsets_, token); }

  void reportUnknown(const antlr4::Token& token) {
    SourceRange range = rangeOf(token);
    if (range.begin == unknownEnd_) {
      unknownEnd_ = range.end; // one report for a run of them
      return;
    }
    unknownEnd_ = range.end;
    std::string text(diags_.sources().text(range));
    auto report = diags_.report<DiagId::unknown_character>(range, text);
    if (std::string hint = hintFor(text); !hint.empty()) {
      report.hint(std::move(hint));
    }
  }

  /// Reports a malformed literal and lets it stand for what it was meant to be.
  void repair(antlr4::Token& token) {
    auto& writable = static_cast<antlr4::CommonToken&>(token);
    if (token.getType() == DnnLexer::BAD_NUMBER) {
      diags_.report<DiagId::bad_number>(rangeOf(token), token.getText()).hint("a name starts with a letter");
      writable.setType(DnnLexer::INT);
      writable.setText("0");
    } else if (token.getType() == DnnLexer::BAD_STRING) {
      diags_.report<DiagId::unterminated_string>(rangeOf(token));
      writable.setType(DnnLexer::STRING);
      writable.setText("\"\"");
    }
  }

  /// Follows brackets and nesting. False if the nesting is too deep.
  bool place(const antlr4::Token& token) {
    size_t type = token.getType();
    switch (type) {
    case DnnLexer::LPAREN: open(token, DnnLexer::RPAREN); break;
    case DnnLexer::LBRACK:
      chain(afterReducer_);
      open(token, DnnLexer::RBRACK);
      break;
    case DnnLexer::LBRACE: open(token, DnnLexer::RBRACE); break;
    case DnnLexer::RPAREN:
    case DnnLexer::RBRACK:
    case DnnLexer::RBRACE: close(token); break;
    default: follow(type, token); out_->depth.push_back(static_cast<uint32_t>(open_.size()));
    }
    afterReducer_ = type >= DnnLexer::SUM && type <= DnnLexer::ALL;
    previous_ = type;
    if (static_cast<int>(open_.size()) + chained_ > kMaxNesting) {
      diags_.report<DiagId::nested_too_deep>(rangeOf(token), kMaxNesting).hint("name parts of it with `let`");
      return false;
    }
    return true;
  }

  void follow(size_t type, const antlr4::Token& token) {
    switch (type) {
    case DnnLexer::IF:
    case DnnLexer::SCAN: chain(true); break;
    case DnnLexer::MINUS:
    case DnnLexer::NOT: chain(previous_ == type); break; // a prefix of a prefix
    case DnnLexer::WHEN:
      if (previous_ == DnnLexer::ELSE) {
        break;
      }
      endChain();
      break;
    case DnnLexer::OPTIMIZER:
    case DnnLexer::TRAIN:
    case DnnLexer::IMPORT:
    case DnnLexer::LAYER:
      endChain();
      // These stand at the top level (`f: layer` is a kind), so an open brace has lost its partner. Seen early, it is
      // reported where it is and does not swallow the rest of the file.
      if (previous_ != DnnLexer::COLON && !open_.empty()) {
        reportUnclosed(open_.back(), &token);
        popAll();
      }
      break;
    case DnnLexer::COMMA:
    case DnnLexer::LET:
    case DnnLexer::CONST:
    case DnnLexer::FN:
    case DnnLexer::PARAM:
    case DnnLexer::STATE:
    case DnnLexer::UPDATE:
    case DnnLexer::REQUIRE:
    case DnnLexer::RETURN:
    case DnnLexer::NEXT:
    case DnnLexer::EMIT: endChain(); break;
    default: break;
    }
  }

  void chain(bool deeper) {
    int& counter = open_.empty() ? topChained_ : open_.back().chained;
    counter += deeper;
    chained_ += deeper;
  }

  void endChain() {
    int& counter = open_.empty() ? topChained_ : open_.back().chained;
    chained_ -= counter;
    counter = 0;
  }

  void open(const antlr4::Token& token, size_t closer) {
    out_->depth.push_back(static_cast<uint32_t>(open_.size()));
    open_.push_back({rangeOf(token), closer, 0});
  }

  void close(const antlr4::Token& token) {
    if (!open_.empty() && open_.back().closer != token.getType()) {
      // `( … }`: the inner one is the mistake if an outer one fits.
      bool fits = false;
      for (const Open& open : open_) {
        fits = fits || open.closer == token.getType();
      }
      while (fits && open_.back().closer != token.getType()) {
        reportUnclosed(open_.back(), &token);
        pop();
      }
    }
    if (open_.empty() || open_.back().closer != token.getType()) {
      SourceRange range = rangeOf(token);
      diags_.report<DiagId::unopened>(range, token.getText());
      out_->firstBadBracket = std::min(out_->firstBadBracket, range.begin);
    } else {
      pop();
    }
    out_->depth.push_back(static_cast<uint32_t>(open_.size()));
  }

  void pop() {
    endChain();
    open_.pop_back();
  }

  void popAll() {
    while (!open_.empty()) {
      pop();
    }
  }

  void reportUnclosed(const Open& open, const antlr4::Token* noticed) {
    auto report = diags_.report<DiagId::unclosed>(open.range, diags_.sources().text(open.range));
    if (noticed != nullptr) {
      report.note(rangeOf(*noticed), "it is still open at this `" + noticed->getText() + "`");
    }
    out_->firstBadBracket = std::min(out_->firstBadBracket, open.range.begin);
  }

  diag::FileId file_;
  const Offsets& offsets_;
  diag::Diagnostics& diags_;
  std::unique_ptr<Tokens> out_ = std::make_unique<Tokens>();
  std::vector<Open> open_;
  int topChained_ = 0;
  int chained_ = 0; // sum over open_ and the top level
  bool afterReducer_ = false;
  size_t previous_ = 0;
  uint32_t unknownEnd_ = UINT32_MAX;
};

} // namespace

std::unique_ptr<Tokens> scanTokens(diag::FileId file, const Offsets& offsets, diag::Diagnostics& diags) {
  return Scanner(file, offsets, diags).run();
}

} // namespace dnn::frontend
