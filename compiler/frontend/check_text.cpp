#include "compiler/frontend/check_text.h"

namespace dnn::frontend {

using diag::DiagId;

size_t utf8Length(std::string_view text) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  unsigned lead = byte(0);
  size_t length = lead < 0x80                   ? 1
                  : lead >= 0xC2 && lead < 0xE0 ? 2
                  : (lead & 0xF0) == 0xE0       ? 3
                  : lead >= 0xF0 && lead < 0xF5 ? 4
                                                : 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) {
      return 0;
    }
  }
  bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  bool surrogate = lead == 0xED && byte(1) >= 0xA0;
  bool tooLarge = lead == 0xF4 && byte(1) >= 0x90;
  return overlong || surrogate || tooLarge ? 0 : length;
}

bool checkText(diag::FileId file, diag::Diagnostics& diags) {
  std::string_view text = diags.sources().text(file);
  if (text.size() > diag::Sources::kMaxBytes) {
    diags.report<DiagId::file_too_large>({file, 0, 0}, text.size(), diag::Sources::kMaxBytes);
    return false;
  }
  for (uint32_t at = 0; at < text.size();) {
    if (text[at] == '\0') {
      diags.report<DiagId::nul_byte>({file, at, at + 1});
      return false;
    }
    size_t length = utf8Length(text.substr(at));
    if (length == 0) {
      diags.report<DiagId::not_utf8>({file, at, at + 1}).hint("save the file as UTF-8");
      return false;
    }
    at += static_cast<uint32_t>(length);
  }
  return true;
}

} // namespace dnn::frontend
