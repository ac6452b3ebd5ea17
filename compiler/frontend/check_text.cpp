#include "compiler/frontend/check_text.h"

namespace dnn::frontend {

using diag::DiagId;

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
    size_t length = diag::utf8Length(text.substr(at));
    if (length == 0) {
      diags.report<DiagId::not_utf8>({file, at, at + 1}).hint("save the file as UTF-8");
      return false;
    }
    at += static_cast<uint32_t>(length);
  }
  return true;
}

} // namespace dnn::frontend
