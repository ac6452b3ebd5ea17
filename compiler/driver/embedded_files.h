// Texts that are compiled into the binary.
#pragma once

#include <span>
#include <string_view>

namespace dnn::driver {

struct EmbeddedFile {
  std::string_view name; ///< "stdlib/losses.dnn"
  std::string_view text;
};
/// The standard library: the files of stdlib/, in the order of their names. They have no privileges; they are only
/// always visible.
std::span<const EmbeddedFile> stdlibFiles();
/// What `dnnc explain` prints: the files of compiler/diag/explanations/. A diagnostic's section is a line `## name`, a
/// text, a wrong program and a mended one, each between lines of three backticks.
std::span<const EmbeddedFile> explanationFiles();

} // namespace dnn::driver
