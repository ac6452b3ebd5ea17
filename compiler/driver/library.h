// Which files of the standard library a program can need.
#pragma once

#include "compiler/driver/embedded_files.h"

#include <set>
#include <span>
#include <string_view>
#include <vector>

namespace dnn::driver {

struct LibraryChoice {
  std::vector<EmbeddedFile> files;       ///< in the order of the library
  std::vector<std::string_view> leftOut; ///< the names that the other files define
};

/// The files that define a word of one of the texts, or of a file that is chosen. A word in a comment does not count,
/// one in a string does: a file too many costs the time to parse it, and a name that a program uses is always there.
LibraryChoice chooseLibrary(std::span<const EmbeddedFile> library, std::span<const std::string_view> texts);

} // namespace dnn::driver
