// The standard library: the files of stdlib/, compiled into the binary. They have no privileges; they are only always
// visible.
#pragma once

#include <span>
#include <string_view>

namespace dnn::driver {

struct StdlibFile {
  std::string_view name; ///< "stdlib/losses.dnn"
  std::string_view text;
};
/// In the order of their names.
std::span<const StdlibFile> stdlibFiles();

} // namespace dnn::driver
