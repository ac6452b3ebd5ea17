#include "runtime/data/gather.h"

#include "test/unit/runtime/fake_program.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>

namespace dnn::runtime {
namespace {

using plan::Port;
using plan::Source;

TEST(Split, TheTwoPartsAreTheWhole) {
  uint64_t first = 0;
  uint64_t count = 0;
  splitRange(0.8, 1797, first, count);
  EXPECT_EQ(first, 0u);
  EXPECT_EQ(count, 1437u);
  splitRange(-0.2, 1797, first, count);
  EXPECT_EQ(first, 1437u);
  EXPECT_EQ(count, 360u);
  for (uint64_t rows = 1; rows < 300; ++rows) {
    for (int percent = 1; percent < 100; ++percent) {
      uint64_t firstPart = 0;
      splitRange(percent / 100.0, rows, first, firstPart);
      ASSERT_EQ(firstPart, rows * static_cast<uint64_t>(percent) / 100) << percent << "% of " << rows;
      splitRange(-(100 - percent) / 100.0, rows, first, count);
      ASSERT_EQ(first, firstPart);
      ASSERT_EQ(count, rows - firstPart);
    }
  }
  splitRange(0.29, 100, first, count); // 28.999999999999996 in binary
  EXPECT_EQ(count, 29u);
  splitRange(0, 5, first, count);
  EXPECT_EQ(count, 5u);
}

class DatasetFiles : public testing::Test {
protected:
  /// Loads source "d" of a program that has only this source.
  Status load(const Source& source, const DataOverrides& overrides = {}) {
    plan::Plan plan = test::fakePlan();
    plan.directory = folder_.path("");
    plan.sources.push_back(source);
    plan.sources.back().name = "f";
    program_ = std::make_unique<test::FakeProgram>(plan);
    machine_ = std::make_unique<Machine>();
    EXPECT_EQ(machine_->load(program_->module).message, "");
    store_ = std::make_unique<DataStore>(*machine_, overrides, memory_);
    return store_->load("f", data_);
  }
  void writeIdx(const std::string& name, const std::vector<uint8_t>& header, const std::vector<uint8_t>& values) {
    std::string text = {0, 0};
    text.append(header.begin(), header.end());
    text.append(values.begin(), values.end());
    test::writeText(folder_.path(name), text);
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<test::FakeProgram> program_;
  std::unique_ptr<Machine> machine_;
  std::unique_ptr<DataStore> store_;
  const Dataset* data_ = nullptr;
  uint64_t memory_ = UINT64_MAX;
};

Source idxSource() {
  return {.kind = Source::Kind::Idx,
          .paths = {"images", "labels"},
          .fields = {{.name = "x", .dtype = plan::DType::U8, .dims = {2}},
                     {.name = "y", .dtype = plan::DType::I32, .bound = 10}}};
}

TEST_F(DatasetFiles, IdxBytesStayBytesAndLabelsWiden) {
  writeIdx("images", {8, 2, 0, 0, 0, 2, 0, 0, 0, 2}, {1, 2, 3, 255});
  writeIdx("labels", {8, 1, 0, 0, 0, 2}, {9, 0});
  Status status = load(idxSource());
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(data_->rows, 2u);
  EXPECT_EQ(data_->fields[0].bytes, (std::vector<uint8_t>{1, 2, 3, 255}));
  EXPECT_EQ(data_->fields[1].bytes, (std::vector<uint8_t>{9, 0, 0, 0, 0, 0, 0, 0}));
}

TEST_F(DatasetFiles, IdxLabelsOutOfRangeNameRowAndValue) {
  writeIdx("images", {8, 2, 0, 0, 0, 2, 0, 0, 0, 2}, {1, 2, 3, 4});
  writeIdx("labels", {8, 1, 0, 0, 0, 2}, {9, 11});
  Status status = load(idxSource());
  EXPECT_EQ(status.code, ExitCode::BadInput);
  EXPECT_NE(status.message.find("labels`, row 1: the value of field `y` is 11; the values must be in 0..9"),
            std::string::npos)
      << status.message;
}

TEST_F(DatasetFiles, StreamedRowsAreThoseOfALoadedFile) {
  writeIdx("images", {8, 2, 0, 0, 0, 4, 0, 0, 0, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  writeIdx("labels", {8, 1, 0, 0, 0, 4}, {0, 1, 2, 3});
  for (double split : {0.0, 0.5, -0.5}) {
    Source source = idxSource();
    source.split = split;
    std::vector<std::vector<uint8_t>> rows[2];
    for (bool stream : {false, true}) {
      memory_ = stream ? 0 : UINT64_MAX;
      Status status = load(source);
      ASSERT_TRUE(status.ok()) << status.message;
      EXPECT_EQ(data_->files.size(), stream ? 2u : 0u);
      RowValues values;
      for (uint64_t row = 0; row < data_->rows; ++row) {
        ASSERT_TRUE(readRow(*data_, row, values).ok());
        const uint8_t* x = fieldOf(*data_, 0, row, values);
        const uint8_t* y = fieldOf(*data_, 1, row, values);
        rows[stream].emplace_back(x, x + 2);
        rows[stream].emplace_back(y, y + 4);
      }
    }
    EXPECT_EQ(rows[0], rows[1]);
    EXPECT_EQ(rows[0].size(), split == 0 ? 8u : 4u);
  }
  RowValues values;
  test::writeText(folder_.path("images"), "short");
  Status status = readRow(*data_, 0, values);
  EXPECT_EQ(status.code, ExitCode::Io);
  EXPECT_NE(status.message.find("images`: the file has changed since it was checked"), std::string::npos);
}

TEST_F(DatasetFiles, AFileThatIsWrittenToIsRefused) {
  std::string table = "v\n1\n2\n3\n";
  test::writeText(folder_.path("a.csv"), table);
  Source source{.kind = Source::Kind::Csv,
                .paths = {"a.csv"},
                .fields = {{.name = "v", .dtype = plan::DType::U8}},
                .columns = {{.runs = {{"v", "v"}}}}};
  memory_ = 2;
  ASSERT_TRUE(load(source).ok());
  ASSERT_EQ(data_->files.size(), 1u);
  uint8_t values[3] = {};
  EXPECT_TRUE(gatherExamples(*data_, nullptr, 0, 3, 0, {values}).ok());
  EXPECT_EQ(values[2], 3);
  std::filesystem::last_write_time(folder_.path("a.csv"),
                                   std::filesystem::file_time_type::clock::now() + std::chrono::seconds(5));
  EXPECT_EQ(gatherExamples(*data_, nullptr, 0, 3, 0, {values}).code, ExitCode::Io);
  memory_ = 3;
  ASSERT_TRUE(load(source).ok());
  EXPECT_TRUE(data_->files.empty()) << "it fits";
}

TEST_F(DatasetFiles, IdxFilesOfDifferentLengthAreRefused) {
  writeIdx("images", {8, 2, 0, 0, 0, 2, 0, 0, 0, 2}, {1, 2, 3, 4});
  writeIdx("labels", {8, 1, 0, 0, 0, 1}, {9});
  EXPECT_NE(load(idxSource()).message.find("has 2 rows, "), std::string::npos);
}

TEST_F(DatasetFiles, IdxRowsOfAnotherShapeAreRefused) {
  writeIdx("images", {8, 2, 0, 0, 0, 1, 0, 0, 0, 3}, {1, 2, 3});
  writeIdx("labels", {8, 1, 0, 0, 0, 1}, {9});
  EXPECT_NE(load(idxSource()).message.find("has rows of u8[3]; field `x` needs u8[2]"), std::string::npos);
}

TEST_F(DatasetFiles, OverridesReplaceThePaths) {
  writeIdx("i2", {8, 2, 0, 0, 0, 1, 0, 0, 0, 2}, {7, 8});
  writeIdx("l2", {8, 1, 0, 0, 0, 1}, {1});
  Status status = load(idxSource(), {{"f", {folder_.path("i2"), folder_.path("l2")}}});
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(data_->fields[0].bytes, (std::vector<uint8_t>{7, 8}));
  status = load(idxSource(), {{"f", {folder_.path("i2")}}});
  EXPECT_EQ(status.code, ExitCode::Usage);
}

TEST_F(DatasetFiles, AMissingFileSaysHowToGiveAnother) {
  Status status = load(idxSource());
  EXPECT_EQ(status.code, ExitCode::Io);
  EXPECT_NE(status.message.find("No such file or directory; another file can be given with --data f=PATH"),
            std::string::npos);
}

TEST_F(DatasetFiles, CsvSplitsAreDisjointParts) {
  test::writeText(folder_.path("a.csv"), "v,w\n0,0\n1,0\n2,0\n3,0\n4,0\n");
  Source source{.kind = Source::Kind::Csv,
                .paths = {"a.csv"},
                .fields = {{.name = "v", .dtype = plan::DType::U8}},
                .columns = {{.runs = {{"v", "v"}}}},
                .split = 0.6};
  ASSERT_TRUE(load(source).ok());
  std::vector<uint8_t> rows = data_->fields[0].bytes;
  EXPECT_EQ(rows.size(), 3u);
  source.split = -0.4;
  ASSERT_TRUE(load(source).ok());
  EXPECT_EQ(data_->fields[0].bytes.size(), 2u);
  rows.insert(rows.end(), data_->fields[0].bytes.begin(), data_->fields[0].bytes.end());
  EXPECT_NE(rows, (std::vector<uint8_t>{0, 1, 2, 3, 4})) << "the order is a permutation";
  std::sort(rows.begin(), rows.end());
  EXPECT_EQ(rows, (std::vector<uint8_t>{0, 1, 2, 3, 4}));
  source.split = 0.1;
  EXPECT_NE(load(source).message.find("has no examples for `f`"), std::string::npos);
}

TEST_F(DatasetFiles, GeneratedSetsDrawOtherNumbersInEachBatch) {
  Source source = test::fakePlan().sources[0];
  source.rows = 20;
  ASSERT_TRUE(load(source).ok());
  EXPECT_EQ(data_->rows, 20u);
  EXPECT_EQ(data_->fields[0].bytes.size(), 20u * 12);
  EXPECT_NE(std::memcmp(data_->fields[0].bytes.data(), data_->fields[0].bytes.data() + 8 * 12, 12), 0);
}

} // namespace
} // namespace dnn::runtime
