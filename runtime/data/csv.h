// CSV with a header (RFC 4180): cells in double quotes may hold commas, line ends and doubled quotes; lines end with LF
// or CRLF; a UTF-8 byte order mark is skipped, and so are blank lines at the end. Works on a buffer in memory.
#pragma once

#include "runtime/data/elements.h"
#include "runtime/data/tokens.h"

#include <deque>
#include <functional>
#include <string_view>

namespace dnn::runtime {

class CsvReader {
public:
  /// `text` must outlive the reader; `name` stands in the errors.
  CsvReader(std::string_view text, std::string_view name);

  /// The next record. The cells are valid until the next call. False at the end or after an error.
  bool next(std::vector<std::string_view>& cells, Status& status);

  /// Line, from 1, on which the last record started.
  uint64_t line() const { return line_; }

private:
  bool quotedCell(std::string_view& cell, Status& status);

  std::string_view text_;
  std::string name_;
  size_t at_ = 0;
  uint64_t line_ = 0;
  uint64_t nextLine_ = 1;
  std::deque<std::string> unescaped_; // cells with doubled quotes
};

/// The column names of the first line. Errors: empty file, a name twice, more than 2^20 columns.
Status readCsvHeader(CsvReader& reader, std::string_view name, std::vector<std::string>& header);

/// What to take from a file: per field the positions of its columns.
struct CsvSelection {
  std::vector<std::vector<uint32_t>> columns;
  std::vector<const plan::CsvField*> rules; // how their cells become values
  const Tokenizer* tokenizer = nullptr;     // of the fields whose cells are texts
};

/// Finds each field's columns, and checks that they are as many as the field's row has values. The selection points
/// into `columns`.
Status selectCsvColumns(const std::vector<std::string>& header, std::string_view name,
                        const std::vector<plan::Port>& fields, const std::vector<plan::CsvField>& columns,
                        CsvSelection& selection);

/// Without the blanks around it.
std::string_view trimmed(std::string_view cell);
/// Is this how files write that a value is missing?
bool isMissing(std::string_view cell);

/// Fills `categories` and the `fills` that are NaN (which stand for the mean of the column) of the columns, from the
/// file. `taken` says of which rows the means are.
Status describeCsv(std::string_view text, std::string_view name, const std::vector<plan::Port>& fields,
                   const std::function<void(uint64_t rows, std::vector<uint32_t>& taken)>& take,
                   std::vector<plan::CsvField>& columns);

/// All cells of a column of texts, one behind the other, for its vocabulary; `separator` stands between them.
Status joinCsvTexts(std::string_view text, std::string_view name, const plan::CsvField& field,
                    std::string_view separator, std::string& joined);

/// Reads all records behind the header into columns (already made). Errors name line and column: a cell that is
/// missing (empty, NA, N/A, NaN, null or ?) where nothing stands for it, not a number, NaN or infinite, outside the
/// field's bound; a record with more or fewer cells than the header.
Status readCsvRows(CsvReader& reader, std::string_view name, const std::vector<std::string>& header,
                   const std::vector<plan::Port>& fields, const CsvSelection& selection, std::vector<Column>& columns,
                   uint64_t& rows);

} // namespace dnn::runtime
