#include "runtime/data/dataset.h"

#include "runtime/data/csv.h"
#include "runtime/data/idx.h"
#include "runtime/data/order.h"
#include "runtime/support/extent.h"
#include "runtime/support/file.h"
#include "runtime/support/text.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace dnn::runtime {

using plan::Source;

namespace {

Status makeColumns(const Source& source, Dataset& data) {
  data.fields.resize(source.fields.size());
  for (size_t i = 0; i < source.fields.size(); ++i) {
    if (!makeColumn(source.fields[i], data.fields[i])) {
      return failure(ExitCode::BadInput, "a row of field `%s` of `%s` is too large", source.fields[i].name.c_str(),
                     source.name.c_str());
    }
  }
  return success();
}

Status notEmpty(const Source& source, const std::string& where, uint64_t rows) {
  return rows > 0 ? success()
                  : failure(ExitCode::BadInput, "%s has no examples for `%s`", where.c_str(), source.name.c_str());
}

/// Keeps the rows of the split, in the split's order.
void keepSplit(const Source& source, uint64_t all, Column& column) {
  if (source.split == 0) {
    return;
  }
  uint64_t first = 0;
  uint64_t count = 0;
  splitRange(source.split, all, first, count);
  std::vector<uint32_t> order;
  splitOrder(all, source.splitSeed, order);
  std::vector<uint8_t> kept(count * column.rowBytes);
  for (uint64_t row = 0; row < count; ++row) {
    std::memcpy(kept.data() + row * column.rowBytes, column.bytes.data() + order[first + row] * column.rowBytes,
                column.rowBytes);
  }
  column.bytes = std::move(kept);
}

Status loadIdxField(const plan::Port& field, const std::string& path, Column& column, uint64_t& rows) {
  std::vector<uint8_t> file;
  if (Status status = readFile(path, file); !status.ok()) {
    return status;
  }
  IdxHeader header;
  std::vector<uint8_t> values;
  if (Status status = readIdx(file.data(), file.size(), path, header, values); !status.ok()) {
    return status;
  }
  std::vector<int64_t> rowDims(header.dims.begin() + 1, header.dims.end());
  if (rowDims != field.dims) {
    return failure(ExitCode::BadInput, "`%s` has rows of %s; field `%s` needs %s", path.c_str(),
                   describe(widened(header.type), rowDims).c_str(), field.name.c_str(),
                   describe(field.dtype, field.dims).c_str());
  }
  rows = static_cast<uint64_t>(header.dims[0]);
  uint64_t perRow = 0;
  elementCount(rowDims, perRow);
  uint64_t bad = 0;
  auto place = [&](uint64_t index) {
    return perRow == 1 ? format("row %llu", static_cast<unsigned long long>(index / perRow))
                       : format("row %llu, element %llu", static_cast<unsigned long long>(index / perRow),
                                static_cast<unsigned long long>(index % perRow));
  };
  if (fileType(column.dtype) == header.type) {
    column.bytes = std::move(values); // images are the largest thing that a small program holds: once is enough
  } else if (!convertInto(header.type, values.data(), rows * perRow, column, bad)) {
    return failure(ExitCode::BadInput, "`%s`, %s: %s is no value of type %s, which field `%s` has", path.c_str(),
                   place(bad).c_str(),
                   valueText(header.type, values.data() + bad * static_cast<uint64_t>(byteSize(header.type))).c_str(),
                   name(field.dtype), field.name.c_str());
  }
  std::string reason;
  if (findBadValue(column, field.bound, bad, reason)) {
    return failure(ExitCode::BadInput, "`%s`, %s: the value of field `%s` %s", path.c_str(), place(bad).c_str(),
                   field.name.c_str(), reason.c_str());
  }
  return success();
}

Status loadIdx(const Source& source, const std::vector<std::string>& paths, Dataset& data) {
  if (paths.size() != source.fields.size()) {
    return failure(ExitCode::Usage, "`%s` reads %zu files, one a field, and %zu are given; separate them by commas",
                   source.name.c_str(), source.fields.size(), paths.size());
  }
  for (size_t i = 0; i < paths.size(); ++i) {
    uint64_t rows = 0;
    if (Status status = loadIdxField(source.fields[i], paths[i], data.fields[i], rows); !status.ok()) {
      return status;
    }
    if (i > 0 && rows != data.rows) {
      return failure(ExitCode::BadInput, "`%s` has %llu rows, `%s` has %llu; they must be equal", paths[0].c_str(),
                     static_cast<unsigned long long>(data.rows), paths[i].c_str(),
                     static_cast<unsigned long long>(rows));
    }
    data.rows = rows;
  }
  return success();
}

Status loadCsv(const Source& source, const std::vector<std::string>& paths, Dataset& data) {
  if (paths.size() != 1) {
    return failure(ExitCode::Usage, "`%s` reads one csv file, and %zu are given", source.name.c_str(), paths.size());
  }
  const std::string& path = paths[0];
  std::vector<uint8_t> file;
  if (Status status = readFile(path, file); !status.ok()) {
    return status;
  }
  CsvReader reader({reinterpret_cast<const char*>(file.data()), file.size()}, path);
  std::vector<std::string> header;
  CsvSelection selection;
  if (Status status = readCsvHeader(reader, path, header); !status.ok()) {
    return status;
  }
  if (Status status = selectCsvColumns(header, path, source.fields, source.columns, selection); !status.ok()) {
    return status;
  }
  return readCsvRows(reader, path, header, source.fields, selection, data.fields, data.rows);
}

Status loadTable(const Source& source, Dataset& data) {
  data.rows = source.rows;
  for (size_t i = 0; i < data.fields.size(); ++i) {
    if (i >= source.table.size() || source.table[i].size() != source.rows * data.fields[i].rowBytes) {
      return failure(ExitCode::Internal, "the plan's table `%s` has the wrong size", source.name.c_str());
    }
    data.fields[i].bytes = source.table[i];
  }
  return success();
}

Status generate(Machine& machine, const Source& source, Dataset& data) {
  const plan::Plan& plan = machine.plan();
  if (source.generateEntry >= plan.entries.size() ||
      plan.entries[source.generateEntry].outputs.size() != data.fields.size()) {
    return failure(ExitCode::Internal, "the plan's generator of `%s` does not fit its fields", source.name.c_str());
  }
  const plan::Entry& entry = plan.entries[source.generateEntry];
  uint64_t batch = entry.batch > 0 ? static_cast<uint64_t>(entry.batch) : source.rows;
  for (Column& column : data.fields) {
    column.bytes.reserve(source.rows * column.rowBytes);
  }
  for (uint64_t first = 0, number = 0; first < source.rows; first += batch, ++number) {
    uint64_t rows = std::min(batch, source.rows - first);
    // A set in several batches draws other numbers in each: the number of the batch takes the place of the step.
    Moment moment{source.seed, number, 0};
    if (Status status = machine.call(source.generateEntry, entry.batch > 0 ? static_cast<int64_t>(rows) : 0, moment);
        !status.ok()) {
      return status;
    }
    for (size_t i = 0; i < data.fields.size(); ++i) {
      const plan::Port& port = entry.outputs[i];
      if (port.dtype != data.fields[i].dtype ||
          byteCount(port.dtype, port.dims) * (port.batched ? rows : 1) != data.fields[i].rowBytes * rows) {
        return failure(ExitCode::Internal, "the plan's generator of `%s` does not fit its fields", source.name.c_str());
      }
      const uint8_t* start = machine.arena(port.offset);
      data.fields[i].bytes.insert(data.fields[i].bytes.end(), start, start + rows * data.fields[i].rowBytes);
    }
  }
  data.rows = source.rows;
  return success();
}

} // namespace

void splitRange(double split, uint64_t rows, uint64_t& first, uint64_t& count) {
  first = 0;
  count = rows;
  if (split == 0) {
    return;
  }
  // 0.29 · 100 is a little less than 29 in binary; such products mean the whole number.
  double share = split > 0 ? split : 1 + split;
  double part = std::floor(share * static_cast<double>(rows) + 1e-6);
  auto left = std::min(rows, static_cast<uint64_t>(std::max(part, 0.0)));
  first = split > 0 ? 0 : left;
  count = split > 0 ? left : rows - left;
}

Status DataStore::load(const std::string& sourceName, const Dataset*& data) {
  auto found = loaded_.find(sourceName);
  if (found != loaded_.end()) {
    data = found->second.get();
    return success();
  }
  const plan::Plan& plan = machine_.plan();
  int index = machine_.findSource(sourceName);
  if (index < 0) {
    return failure(ExitCode::Internal, "the plan has no source `%s`", sourceName.c_str());
  }
  const Source& source = plan.sources[static_cast<size_t>(index)];
  std::vector<std::string> paths;
  for (const std::string& path : source.paths) {
    paths.push_back(resolvePath(plan.directory, path));
  }
  auto given = overrides_.find(sourceName);
  if (given != overrides_.end()) {
    paths = given->second;
  }
  auto result = std::make_unique<Dataset>();
  Status status = makeColumns(source, *result);
  if (!status.ok()) {
    return status;
  }
  switch (source.kind) {
  case Source::Kind::Idx: status = loadIdx(source, paths, *result); break;
  case Source::Kind::Csv: status = loadCsv(source, paths, *result); break;
  case Source::Kind::Table: status = loadTable(source, *result); break;
  case Source::Kind::Generate: status = generate(machine_, source, *result); break;
  }
  if (status.ok() && result->rows > UINT32_MAX) {
    status = failure(ExitCode::BadInput, "`%s` has more than 2^32 - 1 examples", sourceName.c_str());
  }
  if (!status.ok()) {
    if (status.code == ExitCode::Io && given == overrides_.end()) {
      status.message += format("; another file can be given with --data %s=PATH", sourceName.c_str());
    }
    return status;
  }
  uint64_t all = result->rows;
  uint64_t first = 0;
  splitRange(source.split, all, first, result->rows);
  for (Column& column : result->fields) {
    keepSplit(source, all, column);
  }
  if (status = notEmpty(source, paths.empty() ? "the program" : "`" + paths[0] + "`", result->rows); !status.ok()) {
    return status;
  }
  data = result.get();
  loaded_[sourceName] = std::move(result);
  return success();
}

void gatherBatch(Machine& machine, const plan::Entry& entry, const Dataset& data, const uint32_t* order, uint64_t first,
                 uint64_t count) {
  for (size_t i = 0; i < data.fields.size(); ++i) {
    const Column& column = data.fields[i];
    uint8_t* to = machine.arena(entry.inputs[i].offset);
    const uint8_t* from = column.bytes.data();
    if (order == nullptr) {
      std::memcpy(to, from + first * column.rowBytes, count * column.rowBytes);
      continue;
    }
    for (uint64_t row = 0; row < count; ++row) {
      std::memcpy(to + row * column.rowBytes, from + order[first + row] * column.rowBytes, column.rowBytes);
    }
  }
}

} // namespace dnn::runtime
