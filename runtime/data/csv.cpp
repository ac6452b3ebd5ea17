#include "runtime/data/csv.h"

#include "runtime/support/extent.h"
#include "runtime/support/text.h"
#include "runtime/types/half.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

namespace dnn::runtime {

CsvReader::Found CsvReader::quotedCell(std::string_view& cell, Status& status) {
  size_t start = ++at_;
  std::string* unescaped = nullptr;
  while (true) {
    size_t quote = text_.find('"', at_);
    if (quote == std::string_view::npos) {
      status = failure(ExitCode::BadInput, "%s:%llu: a cell that starts with a double quote never ends", name_.c_str(),
                       static_cast<unsigned long long>(nextLine_));
      return window_.ends() ? Found::Error : Found::PartOfOne;
    }
    bool doubled = quote + 1 < text_.size() && text_[quote + 1] == '"';
    if (doubled && unescaped == nullptr) {
      unescaped = &unescaped_.emplace_back(text_.substr(start, quote + 1 - start));
    } else if (unescaped != nullptr) {
      unescaped->append(text_.substr(at_, quote + (doubled ? 1 : 0) - at_));
    }
    at_ = quote + (doubled ? 2 : 1);
    if (!doubled) {
      cell = unescaped != nullptr ? std::string_view(*unescaped) : text_.substr(start, quote - start);
      break;
    }
  }
  nextLine_ += static_cast<uint64_t>(
      std::count(text_.begin() + static_cast<int64_t>(start), text_.begin() + static_cast<int64_t>(at_), '\n'));
  if (at_ + 2 > text_.size() && !window_.ends()) {
    return Found::PartOfOne; // a second quote or a line end may follow
  }
  bool ends = at_ == text_.size() || text_[at_] == ',' || text_[at_] == '\n' || text_.substr(at_, 2) == "\r\n";
  if (!ends) {
    status = failure(ExitCode::BadInput, "%s:%llu: text after the closing double quote of a cell", name_.c_str(),
                     static_cast<unsigned long long>(nextLine_));
  }
  return ends ? Found::Record : Found::Error;
}

CsvReader::Found CsvReader::parse(std::vector<std::string_view>& cells, Status& status) {
  cells.clear();
  unescaped_.clear();
  at_ = 0;
  if (!isRecord_ && text_.find_first_not_of("\r\n") == std::string_view::npos) {
    return window_.ends() ? Found::End : Found::PartOfOne;
  }
  while (true) {
    std::string_view cell;
    if (at_ < text_.size() && text_[at_] == '"') {
      if (Found found = quotedCell(cell, status); found != Found::Record) {
        return found;
      }
    } else {
      size_t end = at_;
      while (end < text_.size() && text_[end] != ',' && text_[end] != '\n') {
        ++end;
      }
      cell = text_.substr(at_, end - at_);
      at_ = end;
      bool lineEnds = at_ == text_.size() || text_[at_] == '\n';
      if (lineEnds && !cell.empty() && cell.back() == '\r') {
        cell.remove_suffix(1);
      }
    }
    cells.push_back(cell);
    if (at_ < text_.size() && text_[at_] == ',') {
      ++at_;
      continue;
    }
    at_ += at_ < text_.size() && text_[at_] == '\r' ? 1 : 0;
    if (at_ == text_.size() && !window_.ends()) {
      return Found::PartOfOne;
    }
    at_ += at_ < text_.size() ? 1 : 0; // a line end
    ++nextLine_;
    return Found::Record;
  }
}

bool CsvReader::next(std::vector<std::string_view>& cells, Status& status) {
  window_.drop(at_);
  line_ = nextLine_;
  while (true) {
    text_ = window_.text();
    nextLine_ = line_;
    bool whole = window_.ends() || (started_ || text_.size() > 3);
    if (whole && !started_) {
      started_ = true;
      window_.drop(text_.starts_with("\xEF\xBB\xBF") ? 3 : 0);
      text_ = window_.text();
    }
    Found found = whole ? parse(cells, status) : Found::PartOfOne;
    if (found != Found::PartOfOne) {
      at_ = found == Found::Record ? at_ : text_.size();
      return found == Found::Record;
    }
    status = success();
    if (!window_.grow(status) && !status.ok()) {
      return false;
    }
  }
}

Status readCsvHeader(CsvReader& reader, std::string_view name, std::vector<std::string>& header) {
  std::vector<std::string_view> cells;
  Status status;
  if (!reader.next(cells, status)) {
    return !status.ok() ? status
                        : failure(ExitCode::BadInput, "`%s` is empty: its first line must name the columns",
                                  std::string(name).c_str());
  }
  if (cells.size() > 1u << 20) {
    return failure(ExitCode::BadInput, "`%s` has %zu columns; the most is 2^20", std::string(name).c_str(),
                   cells.size());
  }
  header.assign(cells.begin(), cells.end());
  std::vector<std::string_view> sorted(cells);
  std::sort(sorted.begin(), sorted.end());
  auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) {
    return failure(ExitCode::BadInput, "%s:%llu: two columns are named `%s`", std::string(name).c_str(),
                   static_cast<unsigned long long>(reader.line()), printable(*twice).c_str());
  }
  return success();
}

namespace {

/// The first names, for an error.
std::string listOf(const std::vector<std::string>& header) {
  std::string text;
  for (size_t i = 0; i < header.size(); ++i) {
    if (i >= 8) {
      return text + format(", … (%zu in all)", header.size());
    }
    text += (i == 0 ? "" : ", ") + printable(header[i]);
  }
  return text;
}

} // namespace

Status findCsvColumn(const std::vector<std::string>& header, std::string_view name, const std::string& wanted,
                     uint32_t& position) {
  auto found = std::find(header.begin(), header.end(), wanted);
  if (found == header.end()) {
    return failure(ExitCode::BadInput, "`%s` has no column `%s`; its columns are %s", std::string(name).c_str(),
                   printable(wanted).c_str(), listOf(header).c_str());
  }
  position = static_cast<uint32_t>(found - header.begin());
  return success();
}

namespace {

template <class T> bool parseNumber(std::string_view cell, T& value) {
  if (cell.size() > 1 && cell[0] == '+' && cell[1] != '-') {
    cell.remove_prefix(1);
  }
  auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (end != cell.data() + cell.size()) {
    return false;
  }
  if constexpr (std::is_same_v<T, float>) {
    double wide = 0;
    if (error == std::errc::result_out_of_range && parseNumber(cell, wide) && std::fabs(wide) < 1) {
      value = static_cast<float>(wide); // too small for a float: zero
      return true;
    }
  }
  return error == std::errc();
}

template <class T> void append(std::vector<uint8_t>& bytes, T value) {
  size_t at = bytes.size();
  bytes.resize(at + sizeof value);
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

/// Appends the value of a cell, or says what is wrong with it.
template <class T>
bool appendCell(std::string_view cell, int64_t bound, std::vector<uint8_t>& bytes, std::string& problem) {
  T value{};
  if constexpr (std::is_floating_point_v<T>) {
    if (!parseNumber(cell, value)) {
      problem = format("`%s` is not a number of type %s", printable(cell).c_str(), sizeof(T) == 4 ? "f32" : "f64");
      return false;
    }
    if (!std::isfinite(value)) {
      problem = format("the value is `%s`; the values must be finite", printable(cell).c_str());
      return false;
    }
  } else {
    int64_t wide = 0;
    double real = 0;
    if (!parseNumber(cell, wide)) {
      // Spreadsheets write whole numbers as `3.0`.
      if (!parseNumber(cell, real) || real != std::trunc(real) || !(std::fabs(real) < 0x1p53)) {
        problem = format("`%s` is not a whole number", printable(cell).c_str());
        return false;
      }
      wide = static_cast<int64_t>(real);
    }
    value = static_cast<T>(wide);
    if (static_cast<int64_t>(value) != wide) {
      problem = format("%lld does not fit the type of the field", static_cast<long long>(wide));
      return false;
    }
    if (bound > 0 && (wide < 0 || wide >= bound)) {
      problem = format("%lld is out of range; the values must be in 0..%lld", static_cast<long long>(wide),
                       static_cast<long long>(bound - 1));
      return false;
    }
  }
  append(bytes, value);
  return true;
}

/// The same for floats of 16 bits; what only an f32 holds is no value of theirs.
template <class T> bool appendHalf(std::string_view cell, std::vector<uint8_t>& bytes, std::string& problem) {
  std::vector<uint8_t> single;
  if (!appendCell<float>(cell, 0, single, problem)) {
    return false;
  }
  float value;
  std::memcpy(&value, single.data(), sizeof value);
  T narrow(value);
  if (!std::isfinite(static_cast<float>(narrow))) {
    problem = format("%s is too large for the type of the field", printable(cell).c_str());
    return false;
  }
  append(bytes, narrow);
  return true;
}

bool appendTyped(std::string_view cell, plan::DType dtype, int64_t bound, std::vector<uint8_t>& bytes,
                 std::string& problem) {
  switch (dtype) {
  case plan::DType::F32: return appendCell<float>(cell, bound, bytes, problem);
  case plan::DType::F64: return appendCell<double>(cell, bound, bytes, problem);
  case plan::DType::I32: return appendCell<int32_t>(cell, bound, bytes, problem);
  case plan::DType::I64: return appendCell<int64_t>(cell, bound, bytes, problem);
  case plan::DType::U8: return appendCell<uint8_t>(cell, bound, bytes, problem);
  case plan::DType::U32: return appendCell<uint32_t>(cell, bound, bytes, problem);
  case plan::DType::Bool: return appendCell<uint8_t>(cell, 2, bytes, problem);
  case plan::DType::BF16: return appendHalf<Bf16>(cell, bytes, problem);
  case plan::DType::F16: return appendHalf<F16>(cell, bytes, problem);
  }
  return false;
}

} // namespace

std::string_view trimmed(std::string_view cell) {
  size_t first = cell.find_first_not_of(" \t");
  if (first == std::string_view::npos) {
    return {};
  }
  return cell.substr(first, cell.find_last_not_of(" \t") - first + 1);
}

double numberIn(std::string_view cell) {
  double value = NAN;
  return parseNumber(cell, value) && std::isfinite(value) ? value : NAN;
}

bool isMissing(std::string_view cell) {
  for (std::string_view spelling : {"", "NA", "N/A", "NaN", "nan", "null", "?"}) {
    if (cell == spelling) {
      return true;
    }
  }
  return false;
}

namespace {

/// The tokens of a cell that holds a text.
bool appendTokens(std::string_view cell, const Tokenizer& tokenizer, int64_t most, Column& column,
                  std::string& problem) {
  std::vector<int32_t> tokens;
  if (Status status = tokenizer.encode(cell, "the text", tokens); !status.ok()) {
    problem = status.message;
    return false;
  }
  if (tokens.empty() || tokens.size() > static_cast<uint64_t>(most)) {
    problem = tokens.empty() ? "the text has no tokens; an example needs at least one"
                             : format("the text has %zu tokens; an example has at most %lld", tokens.size(),
                                      static_cast<long long>(most));
    return false;
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(tokens.data());
  column.bytes.insert(column.bytes.end(), bytes, bytes + tokens.size() * sizeof(int32_t));
  column.starts.push_back(column.bytes.size());
  return true;
}

/// The value of a cell that holds the name of a category.
bool appendCategory(std::string_view cell, const plan::CsvField& rule, std::vector<uint8_t>& bytes,
                    std::string& problem) {
  auto at = std::lower_bound(rule.categories.begin(), rule.categories.end(), cell);
  auto number = static_cast<int32_t>(at - rule.categories.begin());
  bool found = at != rule.categories.end() && *at == cell;
  if (isMissing(cell)) {
    problem = "the category is missing; `missing = …` makes that a category of its own";
    number = static_cast<int32_t>(rule.categories.size());
    found = rule.missingCategory;
  } else if (!found) {
    problem =
        format("`%s` is no category; the categories are %s", printable(cell).c_str(), listOf(rule.categories).c_str());
  }
  append(bytes, number);
  return found;
}

} // namespace

Status selectCsvColumns(const std::vector<std::string>& header, std::string_view name,
                        const std::vector<plan::Port>& fields, const std::vector<plan::CsvField>& columns,
                        CsvSelection& selection) {
  selection = {};
  for (size_t field = 0; field < fields.size() && field < columns.size(); ++field) {
    std::vector<uint32_t>& positions = selection.columns.emplace_back();
    selection.rules.push_back(&columns[field]);
    uint64_t wanted = 0;
    bool sound = elementCount(fields[field].dims, wanted);
    if (columns[field].tokens) {
      wanted = 1; // each cell is a sequence
    } else if (fields[field].lengthOf > 0) {
      continue; // known from the sequences
    }
    for (const plan::CsvRun& run : columns[field].runs) {
      uint32_t first = 0;
      uint32_t last = 0;
      if (Status status = findCsvColumn(header, name, run.first, first); !status.ok()) {
        return status;
      }
      if (Status status = findCsvColumn(header, name, run.last, last); !status.ok()) {
        return status;
      }
      bool only = columns[field].runs.size() == 1;
      if (last < first || (only && last - first + 1 != wanted)) {
        return failure(ExitCode::BadInput, "`%s`: columns `%s` to `%s` are %lld columns; field `%s` needs %llu",
                       std::string(name).c_str(), printable(run.first).c_str(), printable(run.last).c_str(),
                       static_cast<long long>(last) - first + 1, fields[field].name.c_str(),
                       static_cast<unsigned long long>(wanted));
      }
      for (uint32_t column = first; column <= last; ++column) {
        positions.push_back(column);
      }
    }
    bool fits = columns[field].fills.empty() || columns[field].fills.size() == positions.size();
    if (!sound || !fits || positions.size() != wanted) {
      return failure(ExitCode::BadInput, "`%s`: field `%s` has %zu columns and needs %llu", std::string(name).c_str(),
                     fields[field].name.c_str(), positions.size(), static_cast<unsigned long long>(wanted));
    }
  }
  return success();
}

Status checkCellCount(const CsvReader& reader, std::string_view name, size_t found, size_t wanted) {
  return found == wanted
             ? success()
             : failure(ExitCode::BadInput, "%s:%llu: this line has %zu cells, the first line has %zu",
                       std::string(name).c_str(), static_cast<unsigned long long>(reader.line()), found, wanted);
}

Status appendCsvRow(const CsvReader& reader, std::string_view name, const std::vector<std::string>& header,
                    const std::vector<plan::Port>& fields, const CsvSelection& selection,
                    const std::vector<std::string_view>& cells, std::vector<Column>& columns) {
  if (Status status = checkCellCount(reader, name, cells.size(), header.size()); !status.ok()) {
    return status;
  }
  for (size_t field = 0; field < selection.columns.size(); ++field) {
    const plan::CsvField& rule = *selection.rules[field];
    for (size_t i = 0; i < selection.columns[field].size(); ++i) {
      uint32_t column = selection.columns[field][i];
      std::string_view cell = trimmed(cells[column]);
      std::string problem;
      std::vector<uint8_t>& bytes = columns[field].bytes;
      bool good = true;
      if (rule.tokens) {
        good = appendTokens(cell, *selection.tokenizer, fields[field].dims[0], columns[field], problem);
      } else if (rule.categorical) {
        good = appendCategory(cell, rule, bytes, problem);
      } else if (!rule.fills.empty() && isMissing(cell)) {
        append(bytes, static_cast<float>(rule.fills[i]));
      } else if (cell.empty()) {
        problem = "the cell is empty; `missing = mean` or `missing = 0` says what stands for it";
        good = false;
      } else {
        good = appendTyped(cell, fields[field].dtype, fields[field].bound, bytes, problem);
      }
      if (!good) {
        return failure(ExitCode::BadInput, "%s:%llu, column `%s`: %s", std::string(name).c_str(),
                       static_cast<unsigned long long>(reader.line()), printable(header[column]).c_str(),
                       problem.c_str());
      }
    }
    if (columns[field].lengths) {
      const Column& sequences = columns[field - 1];
      appendLength(sequences, sequences.starts.size() - 2, columns[field]);
    }
  }
  return success();
}

Status readCsvRows(CsvReader& reader, std::string_view name, const std::vector<std::string>& header,
                   const std::vector<plan::Port>& fields, const CsvSelection& selection, std::vector<Column>& columns,
                   uint64_t& rows) {
  std::vector<std::string_view> cells;
  Status status;
  for (rows = 0; status.ok() && reader.next(cells, status); ++rows) {
    status = appendCsvRow(reader, name, header, fields, selection, cells, columns);
  }
  return status;
}

} // namespace dnn::runtime
