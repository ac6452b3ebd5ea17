#include "runtime/data/csv.h"
#include "runtime/data/loaders.h"
#include "runtime/data/row_index.h"

namespace dnn::runtime {

using plan::Source;

namespace {

/// How the records of a table become the rows of a source.
struct CsvRule {
  explicit CsvRule(const Source& of) : source(of), tokenizer(of) {}

  Status start(CsvReader& reader, const std::string& path) {
    Status status = readCsvHeader(reader, path, header);
    status = status.ok() ? selectCsvColumns(header, path, source.fields, source.columns, selection) : status;
    selection.tokenizer = &tokenizer;
    return status;
  }

  const Source& source;
  Tokenizer tokenizer;
  std::vector<std::string> header;
  CsvSelection selection;
};

/// Records that are read from their file.
class CsvRows : public RowFiles {
public:
  CsvRows(std::unique_ptr<CsvRule> rule, std::shared_ptr<InputFile> file, RowIndex index)
      : rule_(std::move(rule)), file_(std::move(file)), index_(std::move(index)) {}

  Status read(uint64_t row, RowValues& values) const override {
    values.raw.resize(end(row) - index_.at(row));
    if (Status status = file_->read(index_.at(row), values.raw.size(), values.raw.data()); !status.ok()) {
      return status;
    }
    for (Column& column : values.fields) {
      column.clear();
    }
    CsvReader reader = CsvReader::ofRecord({reinterpret_cast<const char*>(values.raw.data()), values.raw.size()});
    std::vector<std::string_view> cells;
    Status status;
    bool good =
        reader.next(cells, status) &&
        appendCsvRow(reader, "", rule_->header, rule_->source.fields, rule_->selection, cells, values.fields).ok();
    return good ? success() : file_->changed();
  }
  void expect(uint64_t row) const override { file_->expect(index_.at(row), end(row) - index_.at(row)); }
  Status unchanged() const override { return file_->hasChanged() ? file_->changed() : success(); }

private:
  uint64_t end(uint64_t row) const { return row + 1 < index_.size() ? index_.at(row + 1) : file_->size(); }

  std::unique_ptr<CsvRule> rule_;
  std::shared_ptr<InputFile> file_;
  RowIndex index_;
};

} // namespace

Status loadCsv(const Source& source, const std::vector<std::string>& paths, uint64_t memory, Dataset& data) {
  if (paths.size() != 1) {
    return failure(ExitCode::Usage, "`%s` reads one csv file, and %zu are given", source.name.c_str(), paths.size());
  }
  const std::string& path = paths[0];
  std::shared_ptr<InputFile> file;
  if (Status status = InputFile::open(path, file); !status.ok()) {
    return status;
  }
  CsvReader reader(TextWindow(file), path);
  auto rule = std::make_unique<CsvRule>(source);
  Status status = rule->start(reader, path);
  KeptRows kept(data.fields, memory, file->isRegular());
  RowIndex index;
  std::vector<std::string_view> cells;
  while (status.ok() && reader.next(cells, status)) {
    index.add(reader.offset());
    status = appendCsvRow(reader, path, rule->header, source.fields, rule->selection, cells, data.fields);
    kept.added();
  }
  data.rows = index.size();
  if (status.ok() && !kept.all()) {
    file->readAnywhere();
    auto rows = std::make_unique<CsvRows>(std::move(rule), std::move(file), std::move(index));
    for (size_t i = 0; i < data.fields.size(); ++i) {
      if (!data.fields[i].lengths) {
        rows->fields.push_back(i);
      }
    }
    data.files.push_back(std::move(rows));
  }
  return status;
}

} // namespace dnn::runtime
