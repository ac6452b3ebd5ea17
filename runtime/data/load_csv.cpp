#include "runtime/data/csv.h"
#include "runtime/data/loaders.h"
#include "runtime/support/file.h"

namespace dnn::runtime {

using plan::Source;

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
  Tokenizer tokenizer(source);
  selection.tokenizer = &tokenizer;
  if (Status status = readCsvRows(reader, path, header, source.fields, selection, data.fields, data.rows);
      !status.ok()) {
    return status;
  }
  for (size_t i = 1; i < data.fields.size(); ++i) {
    if (source.fields[i].lengthOf > 0) {
      fillLengths(data.fields[i - 1], data.fields[i]);
    }
  }
  return success();
}
} // namespace dnn::runtime
