#include "runtime/data/array_file.h"

#include "runtime/data/idx.h"
#include "runtime/data/npy.h"
#include "runtime/support/extent.h"
#include "runtime/support/input_file.h"
#include "runtime/support/text.h"

#include <algorithm>

namespace dnn::runtime {

namespace {

std::string placeOf(const plan::Port& field, uint64_t firstRow, uint64_t index) {
  uint64_t perRow = 1;
  elementCount(field.dims, perRow);
  auto row = static_cast<unsigned long long>(firstRow + index / perRow);
  return perRow == 1 ? format("row %llu", row)
                     : format("row %llu, element %llu", row, static_cast<unsigned long long>(index % perRow));
}

/// Rows of the same size, one behind the other.
class ArrayFile : public RowFiles {
public:
  ArrayFile(std::shared_ptr<InputFile> file, const plan::Port& field, size_t number)
      : file_(std::move(file)), field_(field), number_(number) {
    fields = {number};
  }

  /// Do the rows lie in the file as they are wanted?
  bool understand(uint64_t& rows) {
    constexpr uint64_t mostHeader = 1 << 16;
    std::vector<uint8_t> start(std::min(file_->size(), mostHeader));
    if (!file_->read(0, start.size(), start.data()).ok()) {
      return false;
    }
    FileArray array;
    IdxHeader idx;
    bool gzip = start.size() > 1 && start[0] == 0x1f && start[1] == 0x8b;
    if (isPlainNpy(start.data(), start.size(), file_->path(), array, start_)) {
      // the header says all
    } else if (!gzip && readIdxHeader(start.data(), start.size(), file_->path(), idx).ok() && byteSize(idx.type) == 1) {
      array.type = idx.type;
      array.dims = idx.dims;
      start_ = idx.headerBytes;
    } else {
      return false;
    }
    if (array.dims.empty() ||
        !std::equal(array.dims.begin() + 1, array.dims.end(), field_.dims.begin(), field_.dims.end())) {
      return false;
    }
    rows = static_cast<uint64_t>(array.dims[0]);
    type_ = array.type;
    elementCount(field_.dims, perRow_);
    fileRowBytes_ = perRow_ * static_cast<uint64_t>(byteSize(type_));
    return file_->size() == start_ + rows * fileRowBytes_; // else the ordinary reader says how much is missing
  }

  Status check(uint64_t rows) const {
    constexpr uint64_t chunkBytes = 1 << 20;
    uint64_t chunk = std::max<uint64_t>(chunkBytes / std::max<uint64_t>(fileRowBytes_, 1), 1);
    Column column;
    makeColumn(field_, column);
    std::vector<uint8_t> raw;
    Status status;
    for (uint64_t first = 0; status.ok() && first < rows; first += chunk) {
      uint64_t count = std::min(chunk, rows - first);
      column.clear();
      raw.resize(count * fileRowBytes_);
      status = file_->read(start_ + first * fileRowBytes_, raw.size(), raw.data());
      status = status.ok()
                   ? appendValues(field_, "`" + file_->path() + "`", type_, raw.data(), count * perRow_, first, column)
                   : status;
    }
    file_->readAnywhere();
    return status;
  }

  Status read(uint64_t row, RowValues& values) const override {
    Column& column = values.fields[number_];
    column.clear();
    values.raw.resize(fileRowBytes_);
    Status status = file_->read(start_ + row * fileRowBytes_, fileRowBytes_, values.raw.data());
    uint64_t bad = 0;
    return !status.ok()                                                  ? status
           : convertInto(type_, values.raw.data(), perRow_, column, bad) ? success()
                                                                         : file_->changed();
  }
  void expect(uint64_t row) const override { file_->expect(start_ + row * fileRowBytes_, fileRowBytes_); }
  Status unchanged() const override { return file_->hasChanged() ? file_->changed() : success(); }

private:
  std::shared_ptr<InputFile> file_;
  const plan::Port& field_;
  size_t number_;
  uint64_t start_ = 0; // of the first row
  FileType type_ = FileType::U8;
  uint64_t perRow_ = 0;
  uint64_t fileRowBytes_ = 0;
};

} // namespace

Status checkValues(const plan::Port& field, const std::string& name, const Column& column, uint64_t firstRow) {
  uint64_t bad = 0;
  std::string reason;
  if (findBadValue(column, field.bound, bad, reason)) {
    return failure(ExitCode::BadInput, "%s, %s: the value of field `%s` %s", name.c_str(),
                   placeOf(field, firstRow, bad).c_str(), field.name.c_str(), reason.c_str());
  }
  return success();
}

Status appendValues(const plan::Port& field, const std::string& name, FileType type, const uint8_t* values,
                    uint64_t count, uint64_t firstRow, Column& column) {
  uint64_t bad = 0;
  if (!convertInto(type, values, count, column, bad)) {
    return failure(ExitCode::BadInput, "%s, %s: %s is no value of type %s, which field `%s` has", name.c_str(),
                   placeOf(field, firstRow, bad).c_str(),
                   valueText(type, values + bad * static_cast<uint64_t>(byteSize(type))).c_str(),
                   dnn::runtime::name(field.dtype), field.name.c_str());
  }
  return checkValues(field, name, column, firstRow);
}

Status openArrayFile(const std::string& path, const plan::Port& field, size_t number, uint64_t memory,
                     std::unique_ptr<RowFiles>& file, uint64_t& rows) {
  std::shared_ptr<InputFile> input;
  if (!InputFile::open(path, input).ok() || !input->isRegular()) {
    return success();
  }
  auto array = std::make_unique<ArrayFile>(std::move(input), field, number);
  if (!array->understand(rows) || rows * byteCount(field.dtype, field.dims) <= memory) {
    return success();
  }
  Status status = array->check(rows);
  file = std::move(array);
  return status;
}

} // namespace dnn::runtime
