// Source buffers: every text that a diagnostic can point into, by id. Positions are byte offsets; line and column are
// computed when something is printed.
#pragma once

#include "compiler/support/result.h"

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace dnn::diag {

/// Index of a buffer in Sources. The default value names no file.
struct FileId {
  uint32_t index = UINT32_MAX;
  bool valid() const { return index != UINT32_MAX; }
  bool operator==(const FileId&) const = default;
};

/// Bytes [begin, end) of one file. A default range is "nowhere" (an error that belongs to no place in a source).
struct SourceRange {
  FileId file;
  uint32_t begin = 0;
  uint32_t end = 0;
  bool valid() const { return file.valid(); }
  bool operator==(const SourceRange&) const = default;
};

/// The smallest range that holds both; an invalid one counts for nothing. Both must lie in one file.
SourceRange cover(SourceRange a, SourceRange b);

/// 1-based; the column counts code points, as editors do.
struct LineColumn {
  uint32_t line = 0;
  uint32_t column = 0;
};

/// Length in bytes of the UTF-8 sequence at the start of `text`, 0 if it is malformed (overlong forms, surrogates and
/// values beyond U+10FFFF are).
size_t utf8Length(std::string_view text);

/// Owns the texts. Ids stay valid; string_views into a text live as long as the Sources.
class Sources {
public:
  /// The largest file that is read, in bytes.
  static constexpr size_t kMaxBytes = size_t{8} << 20;

  /// Reads the file as it is (text checks are the parser's); an error says what could not be read and why.
  Result<FileId> addFile(const std::string& path);
  /// A text that is in no file, such as the standard library inside the compiler or a test's input.
  FileId addVirtual(std::string name, std::string text);

  size_t count() const { return files_.size(); }
  /// The path as it was given, or the name of a virtual text.
  const std::string& name(FileId file) const;
  std::string_view text(FileId file) const;
  std::string_view text(SourceRange range) const;
  LineColumn lineColumn(FileId file, uint32_t offset) const;
  /// The line with this 1-based number, without its line break, and the offset at which it begins.
  std::string_view line(FileId file, uint32_t number) const;
  uint32_t lineBegin(FileId file, uint32_t number) const;
  /// "m.dnn:4:7", or "" for an invalid range.
  std::string where(SourceRange range) const;

private:
  struct File {
    std::string name;
    std::string text;
    std::vector<uint32_t> lineBegins;
  };
  std::deque<File> files_;
  const File& get(FileId file) const;
};

} // namespace dnn::diag
