#include "runtime/data/text_pieces.h"

namespace dnn::runtime {

/// The length of the part that ends with a token (or line) whatever follows.
size_t TextPieces::wholeTokens(std::string_view text) const {
  if (rule_.lines) {
    size_t end = text.rfind('\n');
    return end == std::string_view::npos ? 0 : end + 1;
  }
  switch (rule_.unit) {
  case TextRule::Unit::Byte: return text.size();
  case TextRule::Unit::Word: {
    size_t end = text.find_last_of(" \t\n\r\v\f");
    return end == std::string_view::npos ? 0 : end + 1;
  }
  case TextRule::Unit::Char: break;
  }
  // A character has at most three bytes behind its first one.
  for (size_t back = 1; back <= 4 && back <= text.size(); ++back) {
    if ((static_cast<uint8_t>(text[text.size() - back]) & 0xC0) != 0x80) {
      return text.size() - back;
    }
  }
  return text.size(); // not UTF-8
}

bool TextPieces::next(std::string_view& piece, Status& status) {
  place_ = place_.behind(window_.text().substr(0, length_));
  window_.drop(length_);
  length_ = 0;
  while (length_ == 0 && (!window_.ends() || !window_.text().empty())) {
    if (!window_.grow(status) && !status.ok()) {
      return false;
    }
    if (!started_ && (window_.text().size() >= 3 || window_.ends())) {
      started_ = true;
      std::string_view text = window_.text();
      window_.drop(text.size() - withoutMark(text, rule_.unit).size());
    }
    if (started_) {
      length_ = window_.ends() ? window_.text().size() : wholeTokens(window_.text());
    }
  }
  piece = window_.text().substr(0, length_);
  return length_ > 0;
}

} // namespace dnn::runtime
