// Files that hold arrays: IDX, .npy, .npz.
#include "runtime/data/array_file.h"
#include "runtime/data/idx.h"
#include "runtime/data/loaders.h"
#include "runtime/data/npy.h"
#include "runtime/data/zip.h"
#include "runtime/support/extent.h"
#include "runtime/support/file.h"
#include "runtime/support/text.h"

#include <algorithm>

namespace dnn::runtime {

using plan::Source;

namespace {

unsigned long long u(uint64_t value) { return value; }

Status readArray(Source::Kind kind, const std::string& path, FileArray& array) {
  std::vector<uint8_t> file;
  if (Status status = readFile(path, file); !status.ok()) {
    return status;
  }
  if (kind == Source::Kind::Idx) {
    IdxHeader header;
    Status status = readIdx(file.data(), file.size(), path, header, array.values);
    array.type = header.type;
    array.dims = header.dims;
    array.count = array.values.size() / static_cast<uint64_t>(byteSize(header.type));
    return status;
  }
  return readNpy(file.data(), file.size(), path, array);
}

/// Checks the shape, converts and checks the values. `name` is that of the array in the errors.
Status takeArray(const plan::Port& field, const std::string& name, FileArray array, Column& column, uint64_t& rows) {
  if (array.dims.empty()) {
    return failure(ExitCode::BadInput, "%s is one number; it must have rows", name.c_str());
  }
  std::vector<int64_t> rowDims(array.dims.begin() + 1, array.dims.end());
  if (rowDims != field.dims) {
    return failure(ExitCode::BadInput, "%s has rows of %s; field `%s` needs %s", name.c_str(),
                   describe(widened(array.type), rowDims).c_str(), field.name.c_str(),
                   describe(field.dtype, field.dims).c_str());
  }
  rows = static_cast<uint64_t>(array.dims[0]);
  if (fileType(column.dtype) == array.type && array.type != FileType::Bool) {
    column.bytes = std::move(array.values); // images are the largest thing that a small program holds: once is enough
    return checkValues(field, name, column, 0);
  }
  return appendValues(field, name, array.type, array.values.data(), array.count, 0, column);
}

Status sameRows(const std::string& firstName, uint64_t firstRows, const std::string& name, uint64_t rows) {
  return rows == firstRows ? success()
                           : failure(ExitCode::BadInput, "%s has %llu rows, %s has %llu; they must be equal",
                                     firstName.c_str(), u(firstRows), name.c_str(), u(rows));
}

std::string quoted(const std::string& path) { return "`" + path + "`"; }

} // namespace

Status loadArrays(const Source& source, const std::vector<std::string>& paths, uint64_t memory, Dataset& data) {
  if (paths.size() != source.fields.size()) {
    return failure(ExitCode::Usage, "`%s` reads %zu files, one a field, and %zu are given; separate them by commas",
                   source.name.c_str(), source.fields.size(), paths.size());
  }
  auto left = [&] { return memory - std::min(memory, heldBytes(data.fields)); };
  for (size_t i = 0; i < paths.size(); ++i) {
    uint64_t rows = 0;
    std::unique_ptr<RowFiles> file;
    Status status = openArrayFile(paths[i], source.fields[i], i, left(), file, rows);
    if (status.ok() && file != nullptr) {
      data.files.push_back(std::move(file));
    } else if (status.ok()) {
      FileArray array;
      status = readArray(source.kind, paths[i], array);
      status =
          status.ok() ? takeArray(source.fields[i], quoted(paths[i]), std::move(array), data.fields[i], rows) : status;
    }
    if (status.ok() && i > 0) {
      status = sameRows(quoted(paths[0]), data.rows, quoted(paths[i]), rows);
    }
    if (!status.ok()) {
      return status;
    }
    data.rows = rows;
  }
  return success();
}

/// Reads an array of the archive.
Status readMember(const std::vector<uint8_t>& file, const std::vector<ZipMember>& members, const std::string& name,
                  const std::string& path, FileArray& array) {
  const ZipMember* member = nullptr;
  std::vector<uint8_t> bytes;
  Status status = findNpzArray(members, name, path, member);
  status = status.ok() ? unzip(file.data(), *member, path, bytes) : status;
  return status.ok() ? readNpy(bytes.data(), bytes.size(), member->name, array) : status;
}

/// The sequences of a field, which lie one behind the other; `offsets` says where each begins, and then where the last
/// one ends.
Status takeSequences(const plan::Port& field, const std::string& name, FileArray values, const std::string& offsetsName,
                     const FileArray& offsets, Column& column, uint64_t& rows) {
  uint64_t places = 0;
  plan::Port all = field;
  all.dims.erase(all.dims.begin());
  Column flat;
  all.varying.clear();
  makeColumn(all, flat);
  if (Status status = takeArray(all, name, std::move(values), flat, places); !status.ok()) {
    return status;
  }
  Column begins;
  begins.dtype = plan::DType::I64;
  uint64_t bad = 0;
  bool whole = offsets.dims.size() == 1 && offsets.count > 1 &&
               convertInto(offsets.type, offsets.values.data(), offsets.count, begins, bad);
  if (!whole || numberAt(begins.dtype, begins.bytes.data(), 0) != 0 ||
      numberAt(begins.dtype, begins.bytes.data(), offsets.count - 1) != static_cast<double>(places)) {
    return failure(ExitCode::BadInput, "%s must be whole numbers, from 0 to the %llu rows of %s", offsetsName.c_str(),
                   u(places), name.c_str());
  }
  rows = offsets.count - 1;
  for (uint64_t row = 0; row < rows; ++row) {
    double length =
        numberAt(begins.dtype, begins.bytes.data(), row + 1) - numberAt(begins.dtype, begins.bytes.data(), row);
    if (length < 1 || length > static_cast<double>(field.dims[0])) {
      return failure(ExitCode::BadInput, "%s: row %llu has the length %lld; an example has at least 1 and at most %lld",
                     offsetsName.c_str(), u(row), static_cast<long long>(length),
                     static_cast<long long>(field.dims[0]));
    }
    column.starts.push_back(column.starts.back() + static_cast<uint64_t>(length) * column.placeBytes);
  }
  column.bytes = std::move(flat.bytes);
  return success();
}

Status loadNpz(const Source& source, const std::vector<std::string>& paths, Dataset& data) {
  if (paths.size() != 1) {
    return failure(ExitCode::Usage, "`%s` reads one .npz file, and %zu are given", source.name.c_str(), paths.size());
  }
  if (source.members.size() != source.fields.size()) {
    return failure(ExitCode::Internal, "the plan of `%s` must have an array for each field", source.name.c_str());
  }
  std::vector<uint8_t> file;
  if (Status status = readFile(paths[0], file); !status.ok()) {
    return status;
  }
  std::vector<ZipMember> members;
  if (Status status = readZip(file.data(), file.size(), paths[0], members); !status.ok()) {
    return status;
  }
  auto nameOf = [&](size_t i) { return "`" + source.members[i] + "` in `" + paths[0] + "`"; };
  for (size_t i = 0; i < source.fields.size(); ++i) {
    if (source.fields[i].lengthOf > 0) {
      for (uint64_t row = 0; row < data.rows; ++row) {
        appendLength(data.fields[i - 1], row, data.fields[i]);
      }
      continue;
    }
    FileArray array;
    if (Status status = readMember(file, members, source.members[i], paths[0], array); !status.ok()) {
      return status;
    }
    uint64_t rows = 0;
    Status status;
    if (source.fields[i].varying.empty()) {
      status = takeArray(source.fields[i], nameOf(i), std::move(array), data.fields[i], rows);
    } else {
      FileArray offsets;
      status = readMember(file, members, source.offsets.at(i), paths[0], offsets);
      status = status.ok()
                   ? takeSequences(source.fields[i], nameOf(i), std::move(array),
                                   "`" + source.offsets[i] + "` in `" + paths[0] + "`", offsets, data.fields[i], rows)
                   : status;
    }
    if (status.ok() && i > 0) {
      status = sameRows(nameOf(0), data.rows, nameOf(i), rows);
    }
    if (!status.ok()) {
      return status;
    }
    data.rows = rows;
  }
  return success();
}

} // namespace dnn::runtime
