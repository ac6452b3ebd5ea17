#include "compiler/graph/lexer.h"

#include "compiler/graph/text.h"

#include <charconv>

namespace dnn::graph {

namespace {
bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isWord(char c) { return isDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.'; }

int hexDigit(char c) {
  if (isDigit(c)) {
    return c - '0';
  }
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
} // namespace

Lexer::Lexer(std::string_view text, std::string_view fileName) : text_(text), fileName_(fileName) { advance(); }

void Lexer::skipBlanks() {
  while (next_ < text_.size()) {
    char c = text_[next_];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      ++next_;
    } else if (c == '/' && text_.substr(next_, 2) == "//") {
      next_ = std::min(text_.find('\n', next_), text_.size());
    } else {
      return;
    }
  }
}

/// Digits, at most one point, an exponent, and the letters of a type suffix.
size_t Lexer::scanNumber(size_t from) const {
  size_t end = from;
  auto digits = [&] {
    while (end < text_.size() && isDigit(text_[end])) {
      ++end;
    }
  };
  digits();
  if (end < text_.size() && text_[end] == '.') {
    ++end;
    digits();
  }
  if (end < text_.size() && text_[end] == 'e') {
    size_t exponent = end + 1;
    if (exponent < text_.size() && (text_[exponent] == '+' || text_[exponent] == '-')) {
      ++exponent;
    }
    if (exponent < text_.size() && isDigit(text_[exponent])) {
      end = exponent;
      digits();
    }
  }
  while (end < text_.size() && isWord(text_[end])) {
    ++end;
  }
  return end;
}

void Lexer::advance() {
  if (failed()) {
    return;
  }
  skipBlanks();
  size_t start = next_;
  if (start >= text_.size()) {
    token_ = {Token::Kind::End, {}, text_.size()};
    return;
  }
  char c = text_[start];
  Token::Kind kind = Token::Kind::Punctuation;
  size_t end = start + 1;
  if (isDigit(c)) {
    kind = Token::Kind::Number;
    end = scanNumber(start);
  } else if (isWord(c) && c != '.') {
    kind = Token::Kind::Identifier;
    while (end < text_.size() && isWord(text_[end])) {
      ++end;
    }
  } else if (c == '"') {
    kind = Token::Kind::String;
    while (end < text_.size() && text_[end] != '"' && text_[end] != '\n') {
      end += text_[end] == '\\' ? 2 : 1;
    }
    if (end >= text_.size() || text_[end] != '"') {
      failAt(start, "the string is not closed on its line");
      return;
    }
    ++end;
  } else if (text_.substr(start, 2) == "->" || text_.substr(start, 2) == "<=") {
    end = start + 2;
  } else if (std::string_view("[](){}:,;=<+-*/%@$").find(c) == std::string_view::npos) {
    failAt(start, "no token begins with this character");
    return;
  }
  token_ = {kind, text_.substr(start, end - start), start};
  next_ = end;
}

bool Lexer::take(std::string_view text) {
  if (!isAt(text)) {
    return false;
  }
  advance();
  return true;
}

bool Lexer::expect(std::string_view text) {
  if (take(text)) {
    return true;
  }
  fail("expected `" + std::string(text) + "`, found " + found());
  return false;
}

std::optional<std::string> Lexer::identifier(std::string_view what) {
  if (token_.kind != Token::Kind::Identifier) {
    fail("expected " + std::string(what) + ", found " + found());
    return std::nullopt;
  }
  std::string text(token_.text);
  advance();
  return text;
}

std::optional<std::string> Lexer::string(std::string_view what) {
  if (token_.kind != Token::Kind::String) {
    fail("expected " + std::string(what) + " in double quotes, found " + found());
    return std::nullopt;
  }
  std::string_view quoted = token_.text.substr(1, token_.text.size() - 2);
  std::string text;
  for (size_t i = 0; i < quoted.size(); ++i) {
    if (quoted[i] != '\\') {
      text += quoted[i];
      continue;
    }
    char escape = i + 1 < quoted.size() ? quoted[++i] : '\0';
    if (escape == 'n') {
      text += '\n';
    } else if (escape == '"' || escape == '\\') {
      text += escape;
    } else if (escape == 'x' && i + 2 < quoted.size() && hexDigit(quoted[i + 1]) >= 0 && hexDigit(quoted[i + 2]) >= 0) {
      text += static_cast<char>(hexDigit(quoted[i + 1]) * 16 + hexDigit(quoted[i + 2]));
      i += 2;
    } else {
      fail(R"(unknown escape in a string; known are \" \\ \n \xHH)");
      return std::nullopt;
    }
  }
  advance();
  return text;
}

std::optional<int64_t> Lexer::integer(std::string_view what) {
  int64_t value = 0;
  const char* end = token_.text.data() + token_.text.size();
  if (token_.kind == Token::Kind::Number) {
    auto [stop, code] = std::from_chars(token_.text.data(), end, value);
    if (code == std::errc() && stop == end) {
      advance();
      return value;
    }
  }
  fail("expected " + std::string(what) + ", found " + found());
  return std::nullopt;
}

std::optional<std::string> Lexer::valueName() {
  if (!isAt("%")) {
    fail("expected a value such as %x, found " + found());
    return std::nullopt;
  }
  size_t start = token_.offset + 1;
  size_t end = start;
  while (end < text_.size() && isWord(text_[end])) {
    ++end;
  }
  std::string name(text_.substr(start, end - start));
  bool number = !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
  if (!number && !isIdentifier(name)) {
    fail("a value's name is a number, or a letter followed by letters, digits, `_` and `.`");
    return std::nullopt;
  }
  next_ = end;
  advance();
  return name;
}

std::optional<std::string> Lexer::symbol() {
  if (!isAt("@")) {
    fail("expected a name such as @net.w, found " + found());
    return std::nullopt;
  }
  size_t start = token_.offset + 1;
  if (start < text_.size() && text_[start] == '"') {
    advance();
    return string("a name");
  }
  size_t end = start;
  while (end < text_.size() && isPathCharacter(text_[end]) && text_.substr(end, 2) != "//") {
    ++end;
  }
  if (end == start) {
    fail("expected a name directly after `@`");
    return std::nullopt;
  }
  next_ = end;
  std::string name(text_.substr(start, end - start));
  advance();
  return name;
}

void Lexer::fail(std::string message) { failAt(token_.offset, std::move(message)); }

void Lexer::failAt(size_t offset, std::string message) {
  if (failed()) {
    return;
  }
  size_t line = 1;
  size_t column = 1;
  for (char c : text_.substr(0, offset)) {
    ++column;
    if (c == '\n') {
      ++line;
      column = 1;
    }
  }
  error_ = Error{std::move(message), fileName_ + ":" + std::to_string(line) + ":" + std::to_string(column)};
  token_ = {Token::Kind::End, {}, text_.size()};
}

std::string Lexer::found() const {
  if (token_.kind == Token::Kind::End) {
    return "the end of the text";
  }
  constexpr size_t longest = 40;
  std::string text(token_.text.substr(0, longest));
  return "`" + text + (token_.text.size() > longest ? "…" : "") + "`";
}

} // namespace dnn::graph
