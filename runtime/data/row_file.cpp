#include "runtime/data/row_file.h"

#include "runtime/data/idx.h"
#include "runtime/data/npy.h"
#include "runtime/support/extent.h"
#include "runtime/support/text.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dnn::runtime {

namespace {

bool readAll(int descriptor, uint64_t offset, uint64_t size, uint8_t* to) {
  while (size > 0) {
    ssize_t got = pread(descriptor, to, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      errno = got == 0 ? 0 : errno;
      return false;
    }
    to += got;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<uint64_t>(got);
  }
  return true;
}

} // namespace

RowFile::~RowFile() { close(descriptor_); }

Status RowFile::open(const std::string& path, const plan::Port& field, uint64_t least, std::unique_ptr<RowFile>& file,
                     uint64_t& rows) {
  constexpr uint64_t mostHeader = 1 << 16;
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return success();
  }
  std::unique_ptr<RowFile> result(new RowFile(descriptor, path));
  struct stat info{};
  bool large = fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode) && static_cast<uint64_t>(info.st_size) >= least;
  auto size = static_cast<uint64_t>(large ? info.st_size : 0);
  std::vector<uint8_t> start(std::min(size, mostHeader));
  if (!large || !readAll(descriptor, 0, start.size(), start.data())) {
    return success();
  }
  FileArray array;
  IdxHeader idx;
  bool gzip = start.size() > 1 && start[0] == 0x1f && start[1] == 0x8b;
  if (isPlainNpy(start.data(), start.size(), path, array, result->start_)) {
    // the header says all
  } else if (!gzip && readIdxHeader(start.data(), start.size(), path, idx).ok() && byteSize(idx.type) == 1) {
    array.type = idx.type;
    array.dims = idx.dims;
    result->start_ = idx.headerBytes;
  } else {
    return success();
  }
  if (array.dims.empty() ||
      !std::equal(array.dims.begin() + 1, array.dims.end(), field.dims.begin(), field.dims.end()) ||
      array.type == FileType::Bool || fileType(field.dtype) != array.type) {
    return success();
  }
  rows = static_cast<uint64_t>(array.dims[0]);
  result->rowBytes_ = byteCount(field.dtype, field.dims);
  if (size != result->start_ + rows * result->rowBytes_) {
    return success(); // the ordinary reader says how much is missing
  }
  if (Status status = result->check(field, rows); !status.ok()) {
    return status;
  }
  posix_fadvise(descriptor, 0, 0, POSIX_FADV_RANDOM); // batches ask for the rows that they need
  file = std::move(result);
  return success();
}

Status RowFile::check(const plan::Port& field, uint64_t rows) const {
  constexpr uint64_t chunkBytes = 1 << 22;
  uint64_t chunk = std::max<uint64_t>(chunkBytes / std::max<uint64_t>(rowBytes_, 1), 1);
  auto width = static_cast<uint64_t>(plan::byteSize(field.dtype));
  Column column;
  makeColumn(field, column);
  for (uint64_t first = 0; first < rows; first += chunk) {
    uint64_t count = std::min(chunk, rows - first);
    column.bytes.resize(count * rowBytes_);
    if (Status status = read(first, count, column.bytes.data()); !status.ok()) {
      return status;
    }
    uint64_t bad = 0;
    std::string reason;
    if (findBadValue(column, field.bound, bad, reason)) {
      return failure(ExitCode::BadInput, "`%s`, row %llu, element %llu: the value of field `%s` %s", path_.c_str(),
                     static_cast<unsigned long long>(first + bad * width / rowBytes_),
                     static_cast<unsigned long long>(bad % (rowBytes_ / width)), field.name.c_str(), reason.c_str());
    }
  }
  return success();
}

Status RowFile::read(uint64_t firstRow, uint64_t count, uint8_t* to) const {
  if (readAll(descriptor_, start_ + firstRow * rowBytes_, count * rowBytes_, to)) {
    return success();
  }
  return failure(ExitCode::Io, "cannot read row %llu of `%s`: %s", static_cast<unsigned long long>(firstRow),
                 path_.c_str(), errno == 0 ? "the file has become shorter" : std::strerror(errno));
}

void RowFile::expect(uint64_t row) const {
  posix_fadvise(descriptor_, static_cast<off_t>(start_ + row * rowBytes_), static_cast<off_t>(rowBytes_),
                POSIX_FADV_WILLNEED);
}

uint64_t streamedFrom() {
  auto pages = static_cast<uint64_t>(std::max(sysconf(_SC_PHYS_PAGES), 0L));
  return pages / 4 * static_cast<uint64_t>(std::max(sysconf(_SC_PAGESIZE), 0L));
}

} // namespace dnn::runtime
