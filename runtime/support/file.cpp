#include "runtime/support/file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dnn::runtime {

namespace {

/// Closes on every way out.
struct Descriptor {
  int value;
  explicit Descriptor(int descriptor) : value(descriptor) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value >= 0) {
      close(value);
    }
  }
};

std::string folderOf(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

bool writeAll(int descriptor, const void* data, size_t size) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  while (size > 0) {
    ssize_t written = write(descriptor, bytes, size);
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      return false;
    }
    bytes += written;
    size -= static_cast<size_t>(written);
  }
  return true;
}

/// A pipe, a terminal, /dev/null, /dev/stdout: what bytes are sent to, and no file of that name can replace.
bool isStream(const std::string& path) {
  struct stat info{};
  bool exists = stat(path.c_str(), &info) == 0;
  return exists && !S_ISDIR(info.st_mode) &&
         (!S_ISREG(info.st_mode) || path.starts_with("/dev/") || path.starts_with("/proc/"));
}

Status writeStream(const std::string& path, const void* data, size_t size) {
  Descriptor stream(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (stream.value < 0 || !writeAll(stream.value, data, size)) {
    return failure(ExitCode::Io, "cannot write to `%s`: %s", path.c_str(), std::strerror(errno));
  }
  return success();
}

/// The file that a symbolic link leads to, so that the link stays.
std::string behindLinks(const std::string& path) {
  struct stat info{};
  bool isLink = lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
  char* resolved = isLink ? realpath(path.c_str(), nullptr) : nullptr;
  std::string target = resolved != nullptr ? resolved : path;
  free(resolved);
  return target;
}

} // namespace

Status readFile(const std::string& path, std::vector<uint8_t>& bytes, uint64_t most) {
  bytes.clear();
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info{};
  if (file.value < 0 || fstat(file.value, &info) != 0) {
    return failure(ExitCode::Io, "cannot read `%s`: %s", path.c_str(), std::strerror(errno));
  }
  if (S_ISDIR(info.st_mode)) {
    return failure(ExitCode::Io, "cannot read `%s`: it is a folder", path.c_str());
  }
  // One byte more than the size, so that the read that finds the end of the file needs no growth.
  bytes.resize(std::min(most, static_cast<uint64_t>(info.st_size > 0 ? info.st_size : 0) + 1));
  size_t size = 0;
  while (size < most) {
    if (size == bytes.size()) {
      bytes.resize(std::min<uint64_t>(most, bytes.size() + bytes.size() / 2 + (1 << 16)));
    }
    ssize_t got = read(file.value, bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return failure(ExitCode::Io, "cannot read `%s`: %s", path.c_str(), std::strerror(errno));
    }
    if (got == 0) {
      break;
    }
    size += static_cast<size_t>(got);
  }
  bytes.resize(size);
  return success();
}

Status writeFileAtomically(const std::string& name, const void* data, size_t size) {
  if (isStream(name)) {
    return writeStream(name, data, size);
  }
  std::string path = behindLinks(name);
  std::string temporary = path + ".tmp";
  auto cannot = [&](int reason) {
    unlink(temporary.c_str());
    return failure(ExitCode::Io, "cannot write `%s`: %s%s", path.c_str(), std::strerror(reason),
                   fileExists(path) ? "; the file that was there is unchanged" : "");
  };
  {
    Descriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (file.value < 0 || !writeAll(file.value, data, size) || fsync(file.value) != 0) {
      return cannot(errno);
    }
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    return cannot(errno);
  }
  // Without this the new name itself may be lost when the machine stops. Some file systems cannot do it for folders;
  // the file is complete either way.
  Descriptor folder(open(folderOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.value >= 0) {
    fsync(folder.value);
  }
  return success();
}

Status checkWritable(const std::string& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    return failure(ExitCode::Io, "cannot write `%s`: it is a folder", path.c_str());
  }
  if (isStream(path)) {
    return access(path.c_str(), W_OK) == 0
               ? success()
               : failure(ExitCode::Io, "cannot write to `%s`: %s", path.c_str(), std::strerror(errno));
  }
  std::string folder = folderOf(behindLinks(path));
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    return failure(ExitCode::Io, "cannot write `%s`: folder `%s`: %s", path.c_str(), folder.c_str(),
                   std::strerror(errno));
  }
  return success();
}

std::string resolvePath(const std::string& directory, const std::string& path) {
  if (path.empty() || path[0] == '/' || directory.empty()) {
    return path;
  }
  return directory.back() == '/' ? directory + path : directory + "/" + path;
}

bool fileExists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

} // namespace dnn::runtime
