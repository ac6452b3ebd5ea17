#include "runtime/data/csv.h"

#include <cstring>
#include <gtest/gtest.h>

namespace dnn::runtime {
namespace {

using plan::DType;
using plan::Port;

struct Read {
  Status status;
  std::vector<Column> columns;
  uint64_t rows = 0;

  template <class T> std::vector<T> values(size_t field) const {
    std::vector<T> result(columns[field].bytes.size() / sizeof(T));
    std::memcpy(result.data(), columns[field].bytes.data(), columns[field].bytes.size());
    return result;
  }
};

Read read(const std::string& text, const std::vector<Port>& fields, const std::vector<plan::CsvField>& names) {
  Read result;
  CsvReader reader(text, "f.csv");
  std::vector<std::string> header;
  CsvSelection selection;
  result.status = readCsvHeader(reader, "f.csv", header);
  if (result.status.ok()) {
    result.status = selectCsvColumns(header, "f.csv", fields, names, selection);
  }
  if (!result.status.ok()) {
    return result;
  }
  for (const Port& field : fields) {
    makeColumn(field, result.columns.emplace_back());
  }
  result.status = readCsvRows(reader, "f.csv", header, fields, selection, result.columns, result.rows);
  return result;
}

const Port pairField{.name = "x", .dims = {2}};
const Port labelField{.name = "y", .dtype = DType::I32, .bound = 10};

Read readDigits(const std::string& text) {
  return read(text, {pairField, labelField}, {{.runs = {{"a", "b"}}}, {.runs = {{"label", "label"}}}});
}

TEST(Csv, RunsOfColumnsAndBoundedIntegers) {
  Read r = readDigits("a,b,other,label\n1,2.5,x,3\n-1e2,+4,,9\n");
  ASSERT_TRUE(r.status.ok()) << r.status.message;
  EXPECT_EQ(r.rows, 2u);
  EXPECT_EQ(r.values<float>(0), (std::vector<float>{1, 2.5, -100, 4}));
  EXPECT_EQ(r.values<int32_t>(1), (std::vector<int32_t>{3, 9}));
}

TEST(Csv, QuotesByteOrderMarkCarriageReturnsAndBlankEnd) {
  Read r = readDigits("\xEF\xBB\xBF\"a\",b,\"the \"\"one\"\", two\nlines\",label\r\n\"1\",\"2\",\"\",3\r\n\r\n\n");
  ASSERT_TRUE(r.status.ok()) << r.status.message;
  EXPECT_EQ(r.rows, 1u);
  EXPECT_EQ(r.values<float>(0), (std::vector<float>{1, 2}));
}

TEST(Csv, NoLineEndAtTheEndAndSpacesAroundNumbers) {
  Read r = readDigits("a,b,label\n 1 ,2, 3");
  ASSERT_TRUE(r.status.ok()) << r.status.message;
  EXPECT_EQ(r.rows, 1u);
}

TEST(Csv, WholeNumbersWrittenAsDecimals) {
  Read r = readDigits("a,b,label\n1,2,3.0\n");
  ASSERT_TRUE(r.status.ok()) << r.status.message;
  EXPECT_EQ(r.values<int32_t>(1), std::vector<int32_t>{3});
}

struct BadCase {
  const char* text;
  const char* message;
};

class BadCsv : public testing::TestWithParam<BadCase> {};

TEST_P(BadCsv, IsRefusedWithPlaceAndValue) {
  Read r = readDigits(GetParam().text);
  EXPECT_EQ(r.status.code, ExitCode::BadInput);
  EXPECT_EQ(r.status.message, GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BadCsv,
    testing::Values(
        BadCase{"", "`f.csv` is empty: its first line must name the columns"},
        BadCase{"a,b,a\n", "f.csv:1: two columns are named `a`"},
        BadCase{"a,label\n", "`f.csv` has no column `b`; its columns are a, label"},
        BadCase{"a,c,b,label\n", "`f.csv`: columns `a` to `b` are 3 columns; field `x` needs 2"},
        BadCase{"b,a,label\n", "`f.csv`: columns `a` to `b` are 0 columns; field `x` needs 2"},
        BadCase{"a,b,label\n1,2,3\n1,,3\n",
                "f.csv:3, column `b`: the cell is empty; `missing = mean` or `missing = 0` says what stands for it"},
        BadCase{"a,b,label\n1,abc,3\n", "f.csv:2, column `b`: `abc` is not a number of type f32"},
        BadCase{"a,b,label\n1,1e39,3\n", "f.csv:2, column `b`: `1e39` is not a number of type f32"},
        BadCase{"a,b,label\n1,NaN,3\n", "f.csv:2, column `b`: the value is `NaN`; the values must be finite"},
        BadCase{"a,b,label\n-inf,1,3\n", "f.csv:2, column `a`: the value is `-inf`; the values must be finite"},
        BadCase{"a,b,label\n1,2,10\n", "f.csv:2, column `label`: 10 is out of range; the values must be in 0..9"},
        BadCase{"a,b,label\n1,2,-1\n", "f.csv:2, column `label`: -1 is out of range; the values must be in 0..9"},
        BadCase{"a,b,label\n1,2,2.5\n", "f.csv:2, column `label`: `2.5` is not a whole number"},
        BadCase{"a,b,label\n1,2,4294967299\n",
                "f.csv:2, column `label`: 4294967299 does not fit the type of the field"},
        BadCase{"a,b,label\n\"1\n\",2,3\n1,2\n", "f.csv:2, column `a`: `1\\x0a` is not a number of type f32"},
        BadCase{"a,b,label\n1,2,3\n1,2\n", "f.csv:3: this line has 2 cells, the first line has 3"},
        BadCase{"a,b,label\n1,2,3\n\n1,2,3\n", "f.csv:3: this line has 1 cells, the first line has 3"},
        BadCase{"a,b,label\n1,\"2,3\n", "f.csv:2: a cell that starts with a double quote never ends"},
        BadCase{"a,b,label\n1,\"2\"x,3\n", "f.csv:2: text after the closing double quote of a cell"}));

TEST(Csv, TinyNumbersRoundToZero) {
  Read r = readDigits("a,b,label\n1e-60,-1e-60,1\n");
  ASSERT_TRUE(r.status.ok()) << r.status.message;
  EXPECT_EQ(r.values<float>(0), (std::vector<float>{0, 0}));
}

TEST(Csv, LinesAreCountedThroughQuotedLineEnds) {
  Read r = readDigits("a,b,c,label\n1,2,\"x\ny\nz\",3\n1,2,,11\n");
  EXPECT_EQ(r.status.message, "f.csv:5, column `label`: 11 is out of range; the values must be in 0..9");
}

} // namespace
} // namespace dnn::runtime
