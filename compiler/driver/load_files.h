// The user's file, what it imports, and what they need of the standard library, parsed.
#pragma once

#include "compiler/ast/ast.h"
#include "compiler/diag/diagnostics.h"
#include "compiler/driver/program_inputs.h"
#include "compiler/sema/sema.h"
#include "compiler/support/result.h"

#include <memory>
#include <string>
#include <vector>

namespace dnn::driver {

struct LoadedFiles {
  std::vector<std::unique_ptr<ast::File>> user;    ///< the main file, then imports in the order in which they are met
  std::vector<std::unique_ptr<ast::File>> library; ///< the files of the standard library that the user's may need
  std::vector<std::string> libraryNames;           ///< what its other files define
  std::vector<diag::FileId> userFiles;             ///< that were read, the main file first

  sema::Files pointers() const;
};

/// Imports are relative to the file that names them; a file that is imported twice is read once. Mistakes inside the
/// files, imports that cannot be read and cycles become diagnostics; the error is a main file that cannot be read.
Result<LoadedFiles> loadFiles(const std::string& path, diag::Sources& sources, diag::Diagnostics& diags);

/// A file that was read.
SourceText sourceText(const diag::Sources& sources, diag::FileId file);

} // namespace dnn::driver
