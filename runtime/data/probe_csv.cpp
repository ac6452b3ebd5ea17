// What the compiler looks for in a table: names of columns, categories, means, and the vocabulary of its texts.
#include "runtime/data/csv.h"
#include "runtime/data/dataset.h"
#include "runtime/data/probe.h"
#include "runtime/data/probe_tokens.h"
#include "runtime/support/text.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace dnn::runtime {

using plan::CsvField;
using plan::Source;

namespace {

using Cells = std::vector<std::string_view>;

/// Calls start(header), and then visit(cells) with each record behind it.
template <class Start, class Visit> Status forEachRecord(const std::string& path, Start start, Visit visit) {
  std::shared_ptr<InputFile> file;
  if (Status status = InputFile::open(path, file); !status.ok()) {
    return status;
  }
  CsvReader reader(TextWindow(std::move(file)), path);
  std::vector<std::string> header;
  Status status = readCsvHeader(reader, path, header);
  status = status.ok() ? start(header) : status;
  Cells cells;
  while (status.ok() && reader.next(cells, status)) {
    status = checkCellCount(reader, path, cells.size(), header.size());
    status = status.ok() ? visit(cells) : status;
  }
  return status;
}

using Header = std::vector<std::string>;

Status probeTokens(const std::string& path, Source& source, const SourceProbe& probe) {
  for (size_t i = 0; i < source.columns.size(); ++i) {
    if (!source.columns[i].tokens) {
      continue;
    }
    Status status = findTokens(source, probe, path, [&](VocabularyFinder& finder) {
      uint32_t column = 0;
      auto find = [&](const Header& header) {
        return findCsvColumn(header, path, source.columns[i].runs[0].first, column);
      };
      return forEachRecord(path, find, [&](const Cells& cells) { return finder.add(trimmed(cells[column]), path); });
    });
    if (!status.ok()) {
      return status;
    }
    describeSequence(source.fields[i], source.maxLength);
    source.fields[i].bound = tokenCount(source);
    source.fields[i].text = source.name;
    describeLengths(source.fields[i + 1], source.maxLength);
  }
  return success();
}

/// The mean of each column of a field that asks for it.
struct Means {
  std::vector<double> sums;
  std::vector<uint64_t> counts;

  double of(size_t column) const { return counts[column] > 0 ? sums[column] / static_cast<double>(counts[column]) : 0; }
};

bool wantsMeans(const CsvField& column) { return !column.fills.empty() && std::isnan(column.fills[0]); }

/// Fills the `fills` that stand for the mean of a column over the rows that the source takes.
Status findMeans(const std::string& path, const Source& source, uint64_t rows, std::vector<CsvField>& columns) {
  std::vector<uint32_t> order;
  takenRows(source, rows, order);
  std::vector<bool> taken(rows);
  for (uint32_t row : order) {
    taken[row] = true;
  }
  order = {};
  CsvSelection selection;
  auto select = [&](const Header& header) {
    return selectCsvColumns(header, path, source.fields, source.columns, selection);
  };
  std::vector<Means> means;
  for (const CsvField& column : columns) {
    means.push_back({std::vector<double>(column.fills.size()), std::vector<uint64_t>(column.fills.size())});
  }
  uint64_t row = 0;
  Status status = forEachRecord(path, select, [&](const Cells& cells) {
    for (size_t field = 0; row < rows && taken[row] && field < columns.size(); ++field) {
      Means& mean = means[field];
      for (size_t i = 0; wantsMeans(columns[field]) && i < mean.sums.size(); ++i) {
        std::string_view cell = trimmed(cells[selection.columns[field][i]]);
        double value = isMissing(cell) ? NAN : numberIn(cell); // what is no number is reported when the file is loaded
        mean.sums[i] += std::isnan(value) ? 0 : value;
        mean.counts[i] += std::isnan(value) ? 0 : 1;
      }
    }
    ++row;
    return success();
  });
  for (size_t field = 0; status.ok() && field < columns.size(); ++field) {
    for (size_t i = 0; wantsMeans(source.columns[field]) && i < columns[field].fills.size(); ++i) {
      columns[field].fills[i] = means[field].of(i);
    }
  }
  return status;
}

} // namespace

Status probeCsv(const std::string& path, CsvProbe& probe) {
  std::shared_ptr<InputFile> file;
  if (Status status = InputFile::open(path, file); !status.ok()) {
    return status;
  }
  CsvReader reader(TextWindow(std::move(file)), path);
  return readCsvHeader(reader, path, probe.columns);
}

Status probeCsvCells(const std::string& path, Source& source, const SourceProbe& probe) {
  if (Status status = probeTokens(path, source, probe); !status.ok()) {
    return status;
  }
  std::vector<std::set<std::string, std::less<>>> names(source.columns.size());
  std::vector<uint32_t> positions(source.columns.size());
  auto find = [&](const Header& header) {
    Status status;
    for (size_t field = 0; status.ok() && field < source.columns.size(); ++field) {
      const CsvField& column = source.columns[field];
      status = column.categorical ? findCsvColumn(header, path, column.runs[0].first, positions[field]) : success();
    }
    return status;
  };
  uint64_t rows = 0;
  Status status = forEachRecord(path, find, [&](const Cells& cells) {
    ++rows;
    for (size_t field = 0; field < source.columns.size(); ++field) {
      std::string_view cell = trimmed(cells[positions[field]]);
      if (source.columns[field].categorical && !isMissing(cell) && !names[field].contains(cell)) {
        names[field].emplace(cell);
      }
    }
    return success();
  });
  std::vector<CsvField> columns = source.columns;
  if (status.ok() && std::ranges::any_of(columns, wantsMeans)) {
    status = findMeans(path, source, rows, columns);
  }
  for (size_t field = 0; status.ok() && field < columns.size(); ++field) {
    if (!columns[field].categorical) {
      continue;
    }
    if (names[field].empty()) {
      return failure(ExitCode::BadInput, "`%s`: column `%s` has no categories", path.c_str(),
                     printable(columns[field].runs[0].first).c_str());
    }
    columns[field].categories.assign(names[field].begin(), names[field].end());
    source.fields[field].bound = static_cast<int64_t>(names[field].size()) + (columns[field].missingCategory ? 1 : 0);
  }
  if (status.ok()) {
    source.columns = std::move(columns);
  }
  return status;
}

} // namespace dnn::runtime
