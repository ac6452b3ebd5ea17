// CSV with a header (RFC 4180): cells in double quotes may hold commas, line ends and doubled quotes; lines end with LF
// or CRLF; a UTF-8 byte order mark is skipped, and so are blank lines at the end. The text may be larger than the
// memory.
#pragma once

#include "runtime/data/elements.h"
#include "runtime/data/text_window.h"
#include "runtime/data/tokens.h"

#include <deque>
#include <functional>
#include <string_view>

namespace dnn::runtime {

class CsvReader {
public:
  /// `name` stands in the errors.
  CsvReader(TextWindow text, std::string_view name) : window_(std::move(text)), name_(name) {}
  /// A text in memory, which must outlive the reader.
  CsvReader(std::string_view text, std::string_view name) : CsvReader(TextWindow(text), name) {}
  /// A single record of a file, whatever it begins with.
  static CsvReader ofRecord(std::string_view record) {
    CsvReader reader(record, "");
    reader.started_ = reader.isRecord_ = true;
    return reader;
  }

  /// The next record. The cells are valid until the next call. False at the end or after an error.
  bool next(std::vector<std::string_view>& cells, Status& status);

  /// Of the last record: the line, from 1, on which it starts, and where it begins in the text.
  uint64_t line() const { return line_; }
  uint64_t offset() const { return window_.offset(); }

private:
  enum class Found { Record, End, Error, PartOfOne };
  Found parse(std::vector<std::string_view>& cells, Status& status);
  Found quotedCell(std::string_view& cell, Status& status);

  TextWindow window_; // begins with the last record
  std::string name_;
  bool started_ = false;
  bool isRecord_ = false; // then blank lines are no end
  std::string_view text_; // what is in the window
  size_t at_ = 0;         // behind the last record
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

/// The column of the header with this name.
Status findCsvColumn(const std::vector<std::string>& header, std::string_view name, const std::string& wanted,
                     uint32_t& position);

/// An error if the last record has another number of cells than the header.
Status checkCellCount(const CsvReader& reader, std::string_view name, size_t found, size_t wanted);

/// Without the blanks around it.
std::string_view trimmed(std::string_view cell);
/// Is this how files write that a value is missing?
bool isMissing(std::string_view cell);
/// The finite number that all of the cell is; NaN if it is none.
double numberIn(std::string_view cell);

/// Appends the values of the reader's last record to the columns (already made). Errors name line and column: a cell
/// that is missing (empty, NA, N/A, NaN, null or ?) where nothing stands for it, not a number, NaN or infinite, outside
/// the field's bound; more or fewer cells than the header has.
Status appendCsvRow(const CsvReader& reader, std::string_view name, const std::vector<std::string>& header,
                    const std::vector<plan::Port>& fields, const CsvSelection& selection,
                    const std::vector<std::string_view>& cells, std::vector<Column>& columns);

/// All records behind the header.
Status readCsvRows(CsvReader& reader, std::string_view name, const std::vector<std::string>& header,
                   const std::vector<plan::Port>& fields, const CsvSelection& selection, std::vector<Column>& columns,
                   uint64_t& rows);

} // namespace dnn::runtime
