#include "runtime/support/input_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace dnn::runtime {

namespace {

Status cannotRead(const std::string& path, const char* reason) {
  return failure(ExitCode::Io, "cannot read `%s`: %s", path.c_str(), reason);
}

} // namespace

FileStamp FileStamp::of(const struct stat& info) {
  return {static_cast<uint64_t>(info.st_size), info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

InputFile::InputFile(int descriptor, std::string path, const struct stat& info)
    : descriptor_(descriptor), path_(std::move(path)), regular_(S_ISREG(info.st_mode)), stamp_(FileStamp::of(info)) {}

InputFile::~InputFile() { close(descriptor_); }

Status InputFile::open(const std::string& path, std::shared_ptr<InputFile>& file) {
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info{};
  if (descriptor < 0 || fstat(descriptor, &info) != 0) {
    Status status = cannotRead(path, std::strerror(errno));
    if (descriptor >= 0) {
      close(descriptor);
    }
    return status;
  }
  file.reset(new InputFile(descriptor, path, info));
  return S_ISDIR(info.st_mode) ? cannotRead(path, "it is a folder") : success();
}

Status InputFile::next(uint64_t most, void* to, uint64_t& got) {
  while (true) {
    ssize_t bytes = ::read(descriptor_, to, most);
    if (bytes < 0 && errno == EINTR) {
      continue;
    }
    got = bytes > 0 ? static_cast<uint64_t>(bytes) : 0;
    return bytes >= 0 ? success() : cannotRead(path_, std::strerror(errno));
  }
}

Status InputFile::read(uint64_t offset, uint64_t size, void* to) const {
  auto* bytes = static_cast<uint8_t*>(to);
  while (size > 0) {
    ssize_t got = pread(descriptor_, bytes, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return got < 0 ? cannotRead(path_, std::strerror(errno)) : changed();
    }
    bytes += got;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<uint64_t>(got);
  }
  return success();
}

void InputFile::expect(uint64_t offset, uint64_t size) const {
  posix_fadvise(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(size), POSIX_FADV_WILLNEED);
}

void InputFile::readAnywhere() const { posix_fadvise(descriptor_, 0, 0, POSIX_FADV_RANDOM); }

bool InputFile::hasChanged() const {
  struct stat info{};
  return fstat(descriptor_, &info) != 0 || FileStamp::of(info) != stamp_;
}

Status InputFile::changed() const { return cannotRead(path_, "the file has changed since it was checked"); }

} // namespace dnn::runtime
