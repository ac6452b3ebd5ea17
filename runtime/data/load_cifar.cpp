#include "runtime/data/loaders.h"
#include "runtime/support/input_file.h"
#include "runtime/support/text.h"

#include <algorithm>

namespace dnn::runtime {

using plan::Source;

namespace {

// A record is one label (CIFAR-100: the coarse one, then the fine one) and an image of 3 planes of 32 rows.
constexpr uint64_t planes = 3;
constexpr uint64_t pixels = 32 * 32;

struct CifarRule {
  uint64_t labels;
  bool coarse;
  int64_t bound;

  uint64_t bytes() const { return labels + planes * pixels; }

  /// Appends an image and its label; false if that is out of range.
  bool append(const uint8_t* record, Column& images, Column& classes, int32_t& label) const {
    label = record[labels == 2 && !coarse ? 1 : 0];
    if (label >= bound) {
      return false;
    }
    const auto* bytes = reinterpret_cast<const uint8_t*>(&label);
    classes.bytes.insert(classes.bytes.end(), bytes, bytes + sizeof label);
    size_t at = images.bytes.size();
    images.bytes.resize(at + planes * pixels);
    for (uint64_t pixel = 0; pixel < pixels; ++pixel) {
      for (uint64_t plane = 0; plane < planes; ++plane) {
        images.bytes[at++] = record[labels + plane * pixels + pixel];
      }
    }
    return true;
  }
};

/// The records of several files.
class CifarRows : public RowFiles {
public:
  struct Part {
    std::shared_ptr<InputFile> file;
    uint64_t firstRow = 0;
  };
  CifarRows(CifarRule rule, std::vector<Part> parts) : rule_(rule), parts_(std::move(parts)) {
    fields = {0, 1};
    for (const Part& part : parts_) {
      part.file->readAnywhere();
    }
  }

  Status read(uint64_t row, RowValues& values) const override {
    const Part& part = partOf(row);
    values.raw.resize(rule_.bytes());
    if (Status status = part.file->read(offset(part, row), rule_.bytes(), values.raw.data()); !status.ok()) {
      return status;
    }
    values.fields[0].clear();
    values.fields[1].clear();
    int32_t label = 0;
    bool good = rule_.append(values.raw.data(), values.fields[0], values.fields[1], label);
    return good ? success() : part.file->changed();
  }
  void expect(uint64_t row) const override {
    const Part& part = partOf(row);
    part.file->expect(offset(part, row), rule_.bytes());
  }
  Status unchanged() const override {
    for (const Part& part : parts_) {
      if (part.file->hasChanged()) {
        return part.file->changed();
      }
    }
    return success();
  }

private:
  const Part& partOf(uint64_t row) const {
    return *std::prev(std::ranges::upper_bound(parts_, row, {}, &Part::firstRow));
  }
  uint64_t offset(const Part& part, uint64_t row) const { return (row - part.firstRow) * rule_.bytes(); }

  CifarRule rule_;
  std::vector<Part> parts_;
};

} // namespace

Status loadCifar(const Source& source, const std::vector<std::string>& paths, uint64_t memory, Dataset& data) {
  CifarRule rule{source.labels, source.coarse, source.fields.size() == 2 ? source.fields[1].bound : 0};
  if (data.fields.size() != 2 || data.fields[0].rowBytes != planes * pixels || rule.labels < 1 || rule.labels > 2) {
    return failure(ExitCode::Internal, "the plan of `%s` does not fit CIFAR records", source.name.c_str());
  }
  std::vector<CifarRows::Part> parts;
  for (const std::string& path : paths) {
    CifarRows::Part& part = parts.emplace_back();
    if (Status status = InputFile::open(path, part.file); !status.ok()) {
      return status;
    }
  }
  bool regular = std::ranges::all_of(parts, [](const auto& part) { return part.file->isRegular(); });
  KeptRows kept(data.fields, memory, regular);
  uint64_t rows = 0;
  for (const CifarRows::Part& part : parts) {
    rows += part.file->size() / rule.bytes();
  }
  if (rows * rule.bytes() <= memory) {
    data.fields[0].bytes.reserve(rows * data.fields[0].rowBytes);
    data.fields[1].bytes.reserve(rows * data.fields[1].rowBytes);
  }
  for (CifarRows::Part& part : parts) {
    InputFile& file = *part.file;
    part.firstRow = data.rows;
    std::vector<uint8_t> bytes(64 * rule.bytes());
    uint64_t size = 0;   // of the file so far
    uint64_t filled = 0; // of a part that is no whole number of records yet
    uint64_t got = 1;
    while (got > 0) {
      if (Status status = file.next(bytes.size() - filled, bytes.data() + filled, got); !status.ok()) {
        return status;
      }
      size += got;
      filled += got;
      uint64_t used = 0;
      for (; filled - used >= rule.bytes(); used += rule.bytes(), ++data.rows) {
        int32_t label = 0;
        if (!rule.append(bytes.data() + used, data.fields[0], data.fields[1], label)) {
          return failure(ExitCode::BadInput, "`%s`, record %llu: the label is %d; the labels must be in 0..%lld",
                         file.path().c_str(), static_cast<unsigned long long>(data.rows - part.firstRow), label,
                         static_cast<long long>(rule.bound - 1));
        }
      }
      std::copy(bytes.data() + used, bytes.data() + filled, bytes.data());
      filled -= used;
      kept.added();
    }
    if (Status status = checkCifarSize(file.path(), size, rule.bytes()); !status.ok()) {
      return status;
    }
  }
  if (!kept.all()) {
    data.files.push_back(std::make_unique<CifarRows>(rule, std::move(parts)));
  }
  return success();
}

Status checkCifarSize(const std::string& path, uint64_t bytes, uint64_t record) {
  return bytes % record == 0
             ? success()
             : failure(
                   ExitCode::BadInput,
                   "`%s` has %llu bytes, which is no multiple of the %llu bytes of a record; it is truncated or has "
                   "another format",
                   path.c_str(), static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(record));
}

} // namespace dnn::runtime
