// The canonical layout of .dnn files.
#include "compiler/ast/ast.h"
#include "compiler/driver/commands.h"
#include "compiler/driver/exit_code.h"
#include "compiler/frontend/format.h"
#include "compiler/frontend/parse.h"
#include "compiler/support/assert.h"
#include "runtime/support/file.h"

#include <algorithm>
#include <cstdio>

namespace dnn::driver {

namespace {

/// What the layout must not change.
std::string meaningOf(const std::string& name, const std::string& text) {
  diag::Sources sources;
  diag::Diagnostics diags(sources);
  std::unique_ptr<ast::File> file = frontend::parseFile(sources.addVirtual(name, text), diags);
  return file ? ast::print(*file) : "";
}

int formatOne(const std::string& path, bool onlyCheck) {
  diag::Sources sources;
  diag::Diagnostics diags(sources);
  Result<diag::FileId> file = sources.addFile(path);
  if (!file) {
    std::fprintf(stderr, "dnnc: %s\n", file.error().message.c_str());
    return kIoError;
  }
  std::optional<std::string> text = frontend::formatFile(*file, diags);
  if (!text) {
    std::fputs(diags.render().c_str(), stderr);
    return kInputError;
  }
  std::string before(sources.text(*file));
  if (*text == before) {
    return kSuccess;
  }
  DNN_ASSERT(meaningOf(path, *text) == meaningOf(path, before), "the layout of a program does not change it");
  if (onlyCheck) {
    std::printf("%s: the layout is another one; `dnnc fmt %s` mends it\n", path.c_str(), path.c_str());
    return kInputError;
  }
  runtime::Status written = runtime::writeFileAtomically(path, text->data(), text->size());
  if (!written.ok()) {
    std::fprintf(stderr, "dnnc: %s\n", written.message.c_str());
  }
  return written.ok() ? kSuccess : kIoError;
}

} // namespace

int fmtCommand(const Options& options) {
  int code = kSuccess;
  for (const std::string& path : options.files) {
    code = std::max(code, formatOne(path, options.onlyCheck));
  }
  return code;
}

} // namespace dnn::driver
