// The CSV reader on arbitrary bytes: the first column is read as f32, the last one as classes 0..9.
#include "runtime/data/csv.h"

namespace dnn::runtime {
namespace {

void check(const uint8_t* bytes, size_t size) {
  CsvReader reader({reinterpret_cast<const char*>(bytes), size}, "fuzz.csv");
  std::vector<std::string> header;
  if (!readCsvHeader(reader, "fuzz.csv", header).ok()) {
    return;
  }
  std::vector<plan::Port> fields = {{.name = "x"}, {.name = "y", .dtype = plan::DType::I32, .bound = 10}};
  CsvSelection selection;
  std::vector<plan::CsvField> rules = {{.runs = {{header.front(), header.front()}}},
                                       {.runs = {{header.back(), header.back()}}}};
  if (!selectCsvColumns(header, "fuzz.csv", fields, rules, selection).ok()) {
    __builtin_trap(); // both columns exist
  }
  std::vector<Column> columns(2);
  makeColumn(fields[0], columns[0]);
  makeColumn(fields[1], columns[1]);
  uint64_t rows = 0;
  bool ok = readCsvRows(reader, "fuzz.csv", header, fields, selection, columns, rows).ok();
  if (ok && columns[0].bytes.size() != 4 * rows) {
    __builtin_trap();
  }
}

} // namespace
} // namespace dnn::runtime

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  dnn::runtime::check(bytes, size);
  return 0;
}
