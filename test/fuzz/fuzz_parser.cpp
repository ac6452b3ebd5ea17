// Any bytes: the parser returns an AST that can be printed, or diagnostics that can be rendered.
#include "compiler/frontend/parse.h"
#include "compiler/support/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dnn::diag::Sources sources;
  dnn::diag::FileId file = sources.addVirtual("fuzz.dnn", std::string(reinterpret_cast<const char*>(data), size));
  dnn::diag::Diagnostics diags(sources);
  std::unique_ptr<dnn::ast::File> ast = dnn::frontend::parseFile(file, diags);
  DNN_ASSERT((ast == nullptr) == diags.hasErrors(), "no AST means that an error was reported");
  if (ast != nullptr) {
    dnn::ast::print(*ast);
  }
  diags.render();
  diags.renderJson();
  return 0;
}
