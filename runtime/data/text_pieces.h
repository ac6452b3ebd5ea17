// A text file in pieces, of which each holds whole tokens, and whole lines where lines are examples.
#pragma once

#include "runtime/data/text_window.h"
#include "runtime/data/tokens.h"

namespace dnn::runtime {

class TextPieces {
public:
  TextPieces(TextWindow text, const TextRule& rule) : window_(std::move(text)), rule_(rule) {}

  /// The next piece, valid until the next call. False at the end or after an error. A byte order mark at the start of
  /// the file is in no piece.
  bool next(std::string_view& piece, Status& status);

  /// Of the last piece.
  TextPlace place() const { return place_; }
  uint64_t offset() const { return window_.offset(); }

private:
  size_t wholeTokens(std::string_view text) const;

  TextWindow window_; // begins with the last piece
  TextRule rule_;
  TextPlace place_;
  size_t length_ = 0; // of the last piece
  bool started_ = false;
};

} // namespace dnn::runtime
