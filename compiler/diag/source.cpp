#include "compiler/diag/source.h"

#include "compiler/support/assert.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dnn::diag {

SourceRange cover(SourceRange a, SourceRange b) {
  if (!a.valid()) {
    return b;
  }
  if (!b.valid()) {
    return a;
  }
  DNN_ASSERT(a.file == b.file, "a range lies in one file");
  return {a.file, std::min(a.begin, b.begin), std::max(a.end, b.end)};
}

size_t utf8Length(std::string_view text) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  unsigned lead = byte(0);
  size_t length = lead < 0x80                   ? 1
                  : lead >= 0xC2 && lead < 0xE0 ? 2
                  : (lead & 0xF0) == 0xE0       ? 3
                  : lead >= 0xF0 && lead < 0xF5 ? 4
                                                : 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) {
      return 0;
    }
  }
  bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  bool surrogate = lead == 0xED && byte(1) >= 0xA0;
  bool tooLarge = lead == 0xF4 && byte(1) >= 0x90;
  return overlong || surrogate || tooLarge ? 0 : length;
}

Result<FileId> Sources::addFile(const std::string& path) {
  auto fail = [&](const std::string& why) { return Error{"cannot read `" + path + "`: " + why, ""}; };
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return fail(std::strerror(errno));
  }
  struct stat info{};
  if (::fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
    ::close(fd);
    return fail("it is a folder");
  }
  // Read in pieces and stop past the limit: a pipe or a device has no size to look at beforehand.
  std::string text;
  char piece[65536];
  while (text.size() <= kMaxBytes) {
    ssize_t got = ::read(fd, piece, sizeof piece);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      int error = errno;
      ::close(fd);
      return fail(std::strerror(error));
    }
    if (got == 0) {
      break;
    }
    text.append(piece, static_cast<size_t>(got));
  }
  ::close(fd);
  if (text.size() > kMaxBytes) {
    return fail("it is larger than 8 MiB, the most a .dnn file may have; is it a data file?");
  }
  return addVirtual(path, std::move(text));
}

FileId Sources::addVirtual(std::string name, std::string text) {
  File& file = files_.emplace_back(File{std::move(name), std::move(text), {0}});
  for (size_t i = 0; i < file.text.size(); ++i) {
    if (file.text[i] == '\n') {
      file.lineBegins.push_back(static_cast<uint32_t>(i + 1));
    }
  }
  return FileId{static_cast<uint32_t>(files_.size() - 1)};
}

const Sources::File& Sources::get(FileId file) const {
  DNN_ASSERT(file.index < files_.size(), "the file id comes from these sources");
  return files_[file.index];
}

const std::string& Sources::name(FileId file) const { return get(file).name; }

std::string_view Sources::text(FileId file) const { return get(file).text; }

std::string_view Sources::text(SourceRange range) const {
  std::string_view all = text(range.file);
  DNN_ASSERT(range.begin <= range.end && range.end <= all.size(), "the range lies in its file");
  return all.substr(range.begin, range.end - range.begin);
}

LineColumn Sources::lineColumn(FileId id, uint32_t offset) const {
  const File& file = get(id);
  offset = std::min<uint32_t>(offset, static_cast<uint32_t>(file.text.size()));
  auto after = std::upper_bound(file.lineBegins.begin(), file.lineBegins.end(), offset);
  auto line = static_cast<uint32_t>(after - file.lineBegins.begin());
  uint32_t column = 1;
  for (uint32_t i = file.lineBegins[line - 1]; i < offset; ++i) {
    column += (static_cast<unsigned char>(file.text[i]) & 0xC0) != 0x80; // continuation bytes add no column
  }
  return {line, column};
}

uint32_t Sources::lineBegin(FileId id, uint32_t number) const {
  const File& file = get(id);
  DNN_ASSERT(number >= 1 && number <= file.lineBegins.size(), "the line exists");
  return file.lineBegins[number - 1];
}

std::string_view Sources::line(FileId id, uint32_t number) const {
  std::string_view rest = text(id).substr(lineBegin(id, number));
  rest = rest.substr(0, rest.find('\n'));
  if (rest.ends_with('\r')) {
    rest.remove_suffix(1);
  }
  return rest;
}

std::string Sources::where(SourceRange range) const {
  if (!range.valid()) {
    return "";
  }
  LineColumn at = lineColumn(range.file, range.begin);
  return name(range.file) + ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
}

} // namespace dnn::diag
