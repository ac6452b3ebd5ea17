#include "runtime/data/text_window.h"

#include <algorithm>
#include <cstring>

namespace dnn::runtime {

void TextWindow::drop(size_t count) {
  text_.remove_prefix(count);
  offset_ += count;
}

bool TextWindow::grow(Status& status) {
  constexpr size_t most = 1 << 28;
  if (ends_) {
    return false;
  }
  if (text_.size() >= most) { // such a cell or line is rather a mistake, and would fill the memory
    status = failure(ExitCode::BadInput,
                     "`%s` has more than %zu MB without an end of a line or a cell; is a double quote missing?",
                     file_->path().c_str(), most >> 20);
    return false;
  }
  size_t kept = text_.size();
  if (buffer_.size() < kept + chunk_) {
    std::vector<char> larger(2 * (kept + chunk_));
    std::copy(text_.begin(), text_.end(), larger.begin());
    buffer_ = std::move(larger);
  } else if (kept > 0) {
    std::memmove(buffer_.data(), text_.data(), kept);
  }
  uint64_t got = 0;
  status = file_->next(buffer_.size() - kept, buffer_.data() + kept, got);
  text_ = {buffer_.data(), kept + got};
  ends_ = got == 0;
  return status.ok() && got > 0;
}

} // namespace dnn::runtime
