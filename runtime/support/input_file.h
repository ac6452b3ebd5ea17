// A file that stays open for reading: from start to end, or anywhere in it.
#pragma once

#include "runtime/support/status.h"

#include <cstdint>
#include <memory>
#include <string>
#include <sys/stat.h>

namespace dnn::runtime {

/// What tells that a file was written to.
struct FileStamp {
  uint64_t size = 0;
  int64_t seconds = 0;
  int64_t nanoseconds = 0;

  static FileStamp of(const struct stat& info);
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

class InputFile {
public:
  /// Errors name the path and the reason (exit code 4).
  static Status open(const std::string& path, std::shared_ptr<InputFile>& file);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  /// Pipes are not: they are read once, from start to end, and have no size.
  bool isRegular() const { return regular_; }
  uint64_t size() const { return stamp_.size; }

  /// The next bytes, at most `most`; `got` is 0 at the end.
  Status next(uint64_t most, void* to, uint64_t& got);
  /// Bytes of a regular file, for any thread. Errors: the file is shorter now.
  Status read(uint64_t offset, uint64_t size, void* to) const;
  /// A hint that these will be read.
  void expect(uint64_t offset, uint64_t size) const;
  /// From now on `read` is called for places far from each other.
  void readAnywhere() const;
  /// Was the file written to since it was opened?
  bool hasChanged() const;
  Status changed() const;

private:
  InputFile(int descriptor, std::string path, const struct stat& info);

  int descriptor_;
  std::string path_;
  bool regular_;
  FileStamp stamp_;
};

} // namespace dnn::runtime
