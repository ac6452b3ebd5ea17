// Whole programs on disk, beside the kernels: what `dnnc run` loads without parsing, checking or scheduling anything.
//
// An entry is found by the main file's path and text, by the options that change the program, and by the compiler and
// the machine. It says what else the compilation read: imports, with their text, and data files, as questions with
// answers. Where any of that is different now, the program is compiled again.
#pragma once

#include "compiler/codegen/cache_folder.h"
#include "compiler/codegen/compile.h"
#include "compiler/driver/options.h"
#include "compiler/driver/program_inputs.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dnn::driver {

class ProgramCache {
public:
  /// Finds and keeps nothing if the user wants no cache, or to see how the program is compiled, or if its file can be
  /// read only once.
  ProgramCache(const Options& options, const codegen::CompileOptions& how);

  /// The objects of the program that the files make now; warnings of its compilation have been printed.
  std::optional<std::vector<std::vector<uint8_t>>> find() const;
  /// What the compilation that follows find() made.
  void store(const ProgramInputs& inputs, const std::vector<std::vector<uint8_t>>& objects) const;

private:
  codegen::CacheFolder folder_;
  std::string dataFolder_; ///< where relative paths of data start
  std::string key_;        ///< "" = no cache
};

} // namespace dnn::driver
