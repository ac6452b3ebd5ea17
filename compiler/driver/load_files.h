// The user's file, what it imports, and the standard library, parsed.
#pragma once

#include "compiler/ast/ast.h"
#include "compiler/diag/diagnostics.h"
#include "compiler/support/result.h"

#include <memory>
#include <string>
#include <vector>

namespace dnn::driver {

struct LoadedFiles {
  /// The user's file, then its imports in the order in which they are first met, then the standard library.
  std::vector<std::unique_ptr<ast::File>> files;

  std::vector<const ast::File*> pointers() const;
};

/// Imports are relative to the file that names them; a file that is imported twice is read once. Mistakes inside the
/// files, imports that cannot be read and cycles become diagnostics; the error is a main file that cannot be read.
Result<LoadedFiles> loadFiles(const std::string& path, diag::Sources& sources, diag::Diagnostics& diags);

} // namespace dnn::driver
