#include "runtime/data/dataset.h"

#include "runtime/data/load_ahead.h"
#include "runtime/data/loaders.h"
#include "runtime/data/order.h"
#include "runtime/support/extent.h"
#include "runtime/support/file.h"
#include "runtime/support/text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>

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
    if (source.fields[i].lengthOf > 0) {
      data.lengths = i;
    }
  }
  return success();
}

Status notEmpty(const Source& source, const std::string& where, uint64_t rows) {
  return rows > 0 ? success()
                  : failure(ExitCode::BadInput, "%s has no examples for `%s`", where.c_str(), source.name.c_str());
}

bool takesPart(const Source& source) { return source.split != 0 || source.fold != 0; }

void keepRows(const std::vector<uint32_t>& taken, Column& column) {
  if (column.placeBytes > 0) {
    std::vector<uint8_t> kept;
    std::vector<uint64_t> starts = {0};
    for (uint32_t row : taken) {
      kept.insert(kept.end(), column.row(row), column.row(row) + column.bytesOf(row));
      starts.push_back(kept.size());
    }
    column.bytes = std::move(kept);
    column.starts = std::move(starts);
    return;
  }
  std::vector<uint8_t> kept(taken.size() * column.rowBytes);
  for (size_t i = 0; i < taken.size(); ++i) {
    std::memcpy(kept.data() + i * column.rowBytes, column.row(taken[i]), column.rowBytes);
  }
  column.bytes = std::move(kept);
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
  if (Status status = makeColumns(source, data); !status.ok()) {
    return status;
  }
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

void takenRows(const Source& source, uint64_t rows, std::vector<uint32_t>& taken) {
  if (!takesPart(source)) {
    taken.resize(rows);
    std::iota(taken.begin(), taken.end(), 0u);
    return;
  }
  splitOrder(rows, source.splitSeed, taken);
  uint64_t first = 0;
  uint64_t count = rows;
  if (source.fold == 0) {
    splitRange(source.split, rows, first, count);
  } else {
    auto fold = static_cast<uint64_t>(std::abs(source.fold)) - 1;
    auto folds = static_cast<uint64_t>(source.folds);
    first = fold * rows / folds;
    count = (fold + 1) * rows / folds - first;
  }
  auto begin = taken.begin() + static_cast<int64_t>(first);
  auto end = begin + static_cast<int64_t>(count);
  if (source.fold < 0) {
    taken.erase(begin, end);
  } else {
    taken.erase(end, taken.end());
    taken.erase(taken.begin(), begin);
  }
}

std::vector<std::string> pathsOf(const plan::Plan& plan, const Source& source, const DataOverrides& overrides) {
  auto given = overrides.find(source.name);
  if (given != overrides.end()) {
    return given->second;
  }
  std::vector<std::string> paths;
  for (const std::string& path : source.paths) {
    paths.push_back(resolvePath(plan.directory, path));
  }
  return paths;
}

Status readExamples(const Source& source, const std::vector<std::string>& paths, uint64_t memory, Dataset& data) {
  Status status = makeColumns(source, data);
  if (!status.ok()) {
    return status;
  }
  switch (source.kind) {
  case Source::Kind::Idx:
  case Source::Kind::Npy: status = loadArrays(source, paths, memory, data); break;
  case Source::Kind::Npz: status = loadNpz(source, paths, data); break;
  case Source::Kind::Cifar: status = loadCifar(source, paths, memory, data); break;
  case Source::Kind::Images:
    status = dnn_load_images != nullptr ? dnn_load_images(source, paths, memory, data)
                                        : failure(ExitCode::Internal, "this program was linked without images");
    break;
  case Source::Kind::Csv: status = loadCsv(source, paths, memory, data); break;
  case Source::Kind::Text: status = loadText(source, paths, memory, data); break;
  case Source::Kind::Table: status = loadTable(source, data); break;
  case Source::Kind::Generate: return failure(ExitCode::Internal, "`%s` is computed, not read", source.name.c_str());
  }
  // A text with windows is split where they are cut.
  if (status.ok() && takesPart(source) && (source.kind != Source::Kind::Text || source.text.lines)) {
    std::vector<uint32_t> taken;
    takenRows(source, data.rows, taken);
    std::vector<bool> elsewhere(data.fields.size());
    for (const std::unique_ptr<RowFiles>& file : data.files) {
      for (size_t field : file->fields) {
        elsewhere[field] = true;
      }
    }
    for (size_t i = 0; i < data.fields.size(); ++i) {
      if (!elsewhere[i]) {
        keepRows(taken, data.fields[i]);
      }
    }
    data.rows = taken.size();
    if (!data.files.empty()) {
      data.taken = std::move(taken);
    }
  }
  return status;
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
  std::vector<std::string> paths = pathsOf(plan, source, overrides_);
  std::unique_ptr<Dataset> result = ahead_ != nullptr ? ahead_->take(sourceName) : nullptr;
  bool read = result != nullptr;
  result = read ? std::move(result) : std::make_unique<Dataset>();
  Status status;
  if (read) {
    status = success();
  } else if (source.kind == Source::Kind::Generate && source.fresh) {
    status = makeColumns(source, *result);
    result->fresh = &source;
    result->rows = source.rows;
  } else {
    status = source.kind == Source::Kind::Generate ? generate(machine_, source, *result)
                                                   : readExamples(source, paths, memory_, *result);
  }
  if (status.ok() && result->rows > UINT32_MAX) {
    status = failure(ExitCode::BadInput, "`%s` has more than 2^32 - 1 examples", sourceName.c_str());
  }
  if (!status.ok()) {
    if (status.code == ExitCode::Io && !overrides_.contains(sourceName)) {
      status.message += format("; another file can be given with --data %s=PATH", sourceName.c_str());
    }
    return status;
  }
  if (status = notEmpty(source, paths.empty() ? "the program" : "`" + paths[0] + "`", result->rows); !status.ok()) {
    return status;
  }
  if (source.knownRows > 0 && source.knownRows != result->rows) {
    std::fprintf(stderr,
                 "warning: `%s` has %llu examples; the program was compiled with the %llu that it had then, and "
                 "computes with that number\n",
                 sourceName.c_str(), static_cast<unsigned long long>(result->rows),
                 static_cast<unsigned long long>(source.knownRows));
  }
  data = result.get();
  memory_ -= std::min(memory_, heldBytes(result->fields));
  loaded_[sourceName] = std::move(result);
  return success();
}

} // namespace dnn::runtime
