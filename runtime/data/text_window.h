// A text of any size, of which a part is in memory.
#pragma once

#include "runtime/support/input_file.h"

#include <string_view>
#include <vector>

namespace dnn::runtime {

class TextWindow {
public:
  /// All of a text that lies in memory, and outlives the window.
  explicit TextWindow(std::string_view all) : text_(all) {}
  /// A file from its start, of which at least `chunk` bytes are read at a time.
  explicit TextWindow(std::shared_ptr<InputFile> file, size_t chunk = 1 << 18)
      : file_(std::move(file)), chunk_(chunk), ends_(false) {}

  /// What lies in the window; valid until it is moved.
  std::string_view text() const { return text_; }
  /// Where it lies in the whole text.
  uint64_t offset() const { return offset_; }
  /// Does nothing follow?
  bool ends() const { return ends_; }

  /// The window begins `count` bytes later.
  void drop(size_t count);
  /// More of the text at its end; false at the end of the text or after an error, such as more than 2^28 bytes that
  /// cannot be dropped.
  bool grow(Status& status);

private:
  std::shared_ptr<InputFile> file_;
  size_t chunk_ = 0;
  std::vector<char> buffer_; // of a file: the text lies in it
  std::string_view text_;
  uint64_t offset_ = 0;
  bool ends_ = true;
};

} // namespace dnn::runtime
