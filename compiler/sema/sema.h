// Semantic analysis: from the AST of a user's file, its imports and the library to one instantiated program.
#pragma once

#include "compiler/ast/ast.h"
#include "compiler/diag/diagnostics.h"
#include "compiler/sema/program.h"
#include "compiler/support/result.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dnn::sema {

/// What an IDX file holds: `dims` with the number of rows first.
struct IdxInfo {
  DType dtype = DType::U8;
  std::vector<int64_t> dims;
};

/// Looks into data files for the types of their fields. Paths are as written in the source (or in Options::dataPaths);
/// who implements it resolves relative ones. Errors are sentences.
class DataProbe {
public:
  virtual ~DataProbe() = default;
  virtual Result<IdxInfo> probeIdx(const std::string& path) = 0;
  /// What runtime::probeSource() finds in the files of a source: the types of its fields, its vocabulary. `limit` and
  /// `vocabularyFile` are those of a text.
  virtual Result<plan::Source> probeSource(plan::Source source, int64_t limit, const std::string& vocabularyFile) = 0;
  /// The names in the first line.
  virtual Result<std::vector<std::string>> probeCsv(const std::string& path) = 0;
  /// How many examples a source of files has, by reading them.
  virtual Result<int64_t> countExamples(const plan::Source& source) = 0;
};

struct Options {
  std::string program;                                       // the train block to take; "" = the only one
  std::optional<uint64_t> seed;                              // instead of the seed that `run` says
  std::map<std::string, std::vector<std::string>> dataPaths; // by data source, instead of the paths in the file
  size_t combination = 0;                                    // of a sweep's values: the last name changes fastest
};

/// The files of a compilation. `user`: the main file first, then its imports; `library`: those of the standard library
/// that define what the user's name, or each other; `libraryNames`: what the rest defines, for hints. All must outlive
/// the call.
struct Files {
  std::vector<const ast::File*> user;
  std::vector<const ast::File*> library;
  std::vector<std::string> libraryNames;
};

struct Analysis {
  /// Set if there were no errors and the file has a train block.
  std::optional<Program> program;
};

/// Checks everything that can be checked before anything runs, and instantiates the train block. Whatever is wrong is
/// reported to `diags`; the program is set only if there were no errors. A main file without a train block is a
/// library: its names are checked, nothing is instantiated.
Analysis analyze(const Files& files, const Options& options, DataProbe& probe, diag::Diagnostics& diags);

} // namespace dnn::sema
