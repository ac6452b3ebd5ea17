#include "compiler/codegen/build_id.h"

#include <cstdint>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace dnn::codegen {

namespace {

class File {
public:
  explicit File(const std::string& path) : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~File() {
    if (descriptor_ >= 0) {
      close(descriptor_);
    }
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool read(void* to, size_t bytes, uint64_t offset) const {
    return pread(descriptor_, to, bytes, static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes);
  }

private:
  int descriptor_;
};

std::string hexadecimal(const uint8_t* bytes, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    text += "0123456789abcdef"[bytes[i] >> 4];
    text += "0123456789abcdef"[bytes[i] & 15];
  }
  return text;
}

/// The build id among the notes of one segment, "" if it is not there. Names and descriptions are padded to 4 bytes.
std::string findBuildId(const std::vector<uint8_t>& notes) {
  auto padded = [](uint64_t size) { return (size + 3) / 4 * 4; };
  for (uint64_t at = 0; at + sizeof(Elf64_Nhdr) <= notes.size();) {
    Elf64_Nhdr header;
    std::memcpy(&header, notes.data() + at, sizeof header);
    uint64_t name = at + sizeof header;
    uint64_t description = name + padded(header.n_namesz);
    at = description + padded(header.n_descsz);
    if (at > notes.size()) {
      break;
    }
    if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 && std::memcmp(notes.data() + name, "GNU", 4) == 0) {
      return hexadecimal(notes.data() + description, header.n_descsz);
    }
  }
  return "";
}

} // namespace

std::string buildIdOf(const std::string& path) {
  File file(path);
  Elf64_Ehdr header{};
  bool isElf = file.read(&header, sizeof header, 0) && std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0;
  for (unsigned i = 0; isElf && i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    constexpr uint64_t most = 1 << 16;
    if (!file.read(&segment, sizeof segment, header.e_phoff + i * sizeof segment) || segment.p_type != PT_NOTE ||
        segment.p_filesz > most) {
      continue;
    }
    std::vector<uint8_t> notes(segment.p_filesz);
    if (!file.read(notes.data(), notes.size(), segment.p_offset)) {
      continue;
    }
    if (std::string id = findBuildId(notes); !id.empty()) {
      return id;
    }
  }
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) {
    return "none";
  }
  return std::to_string(info.st_size) + " bytes of " + std::to_string(info.st_mtim.tv_sec) + "." +
         std::to_string(info.st_mtim.tv_nsec);
}

} // namespace dnn::codegen
