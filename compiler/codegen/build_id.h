// What identifies a program or a library by its content.
#pragma once

#include <string>

namespace dnn::codegen {

/// The build id that the linker put into an ELF file, in hexadecimal: a hash of what was linked, so a copy has the same
/// one. Without one, size and time of the file; "none" if there is no such file.
std::string buildIdOf(const std::string& path);

} // namespace dnn::codegen
