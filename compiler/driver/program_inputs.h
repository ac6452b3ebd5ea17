// What a compilation read, besides its command line and what is in the compiler.
#pragma once

#include "compiler/driver/recorded_probe.h"

#include <string>
#include <vector>

namespace dnn::driver {

struct SourceText {
  std::string path;  ///< as it was opened
  std::string place; ///< the same for all paths of the file
  std::string text;
  bool operator==(const SourceText&) const = default;
};

struct ProgramInputs {
  std::vector<SourceText> files; ///< the main file first
  std::vector<ProbeRecord> data;
  std::string messages; ///< that were printed: warnings

  /// What another compilation for the same program read: of another combination of a sweep.
  void add(const ProgramInputs& other);
};

} // namespace dnn::driver
