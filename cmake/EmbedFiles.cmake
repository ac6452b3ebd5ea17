# cmake -DOUTPUT=stdlib.cpp -DDIRECTORY=stdlib -DFILES="a.dnn;b.dnn" -DPREFIX=stdlib/ -DFUNCTION=stdlibFiles -P EmbedFiles.cmake
# Writes a C++ file with the bytes of each file; compiler/driver/embedded_files.h declares what it defines.
set(arrays "")
set(rows "")
set(number 0)
foreach(name IN LISTS FILES)
  file(READ ${DIRECTORY}/${name} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  # A byte more than the text, so that an empty file makes an array too.
  string(APPEND arrays "constexpr unsigned char text${number}[] = {${bytes}0};\n")
  string(APPEND rows "    {\"${PREFIX}${name}\", view(text${number}, sizeof text${number} - 1)},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUTPUT} "#include \"compiler/driver/embedded_files.h\"

namespace dnn::driver {

namespace {
${arrays}
std::string_view view(const unsigned char* bytes, size_t size) { return {reinterpret_cast<const char*>(bytes), size}; }
} // namespace

std::span<const EmbeddedFile> ${FUNCTION}() {
  static const EmbeddedFile files[] = {
${rows}  };
  return files;
}

} // namespace dnn::driver
")
