// What was asked of data files is asked again, and any other answer is seen.
#include "compiler/driver/recorded_probe.h"

#include <gtest/gtest.h>

namespace dnn::driver {
namespace {

struct FakeProbe : sema::DataProbe {
  sema::IdxInfo idx{DType::U8, {3, 28, 28}};
  std::vector<std::string> columns = {"a", "b"};
  std::vector<std::string> vocabulary = {"x", "y"};
  int64_t count = 7;
  bool readable = true;

  Result<sema::IdxInfo> probeIdx(const std::string& path) override {
    return readable && path == "f.idx" ? Result<sema::IdxInfo>(idx) : Error{"cannot read " + path, ""};
  }
  Result<plan::Source> probeSource(plan::Source source, int64_t limit, const std::string& vocabularyFile) override {
    source.vocabulary = vocabulary;
    source.rows = static_cast<uint64_t>(limit) + vocabularyFile.size();
    return source;
  }
  Result<std::vector<std::string>> probeCsv(const std::string& path) override {
    return path == "f.csv" ? columns : std::vector<std::string>();
  }
  Result<int64_t> countExamples(const plan::Source& source) override {
    return count + static_cast<int64_t>(source.paths.size());
  }
};

std::vector<ProbeRecord> recordAll(FakeProbe& fake) {
  std::vector<ProbeRecord> records;
  RecordedProbe probe(fake, records);
  plan::Source source;
  source.name = "d";
  source.paths = {"one", "two"};
  EXPECT_EQ(probe.probeIdx("f.idx")->dims, fake.idx.dims);
  EXPECT_EQ(probe.probeSource(source, 5, "words")->rows, 10u);
  EXPECT_EQ(*probe.probeCsv("f.csv"), fake.columns);
  EXPECT_EQ(*probe.countExamples(source), 9);
  EXPECT_FALSE(probe.probeIdx("none.idx"));
  EXPECT_EQ(records.size(), 5u);
  return records;
}

TEST(RecordedProbe, AnswersHoldAsLongAsTheyAreTheSame) {
  FakeProbe fake;
  std::vector<ProbeRecord> records = recordAll(fake);
  EXPECT_TRUE(answersStillHold(records, fake));
  auto changed = [&](auto change) {
    FakeProbe other;
    change(other);
    return !answersStillHold(records, other);
  };
  EXPECT_TRUE(changed([](FakeProbe& p) { p.idx.dims[0] = 4; }));
  EXPECT_TRUE(changed([](FakeProbe& p) { p.idx.dtype = DType::I32; }));
  EXPECT_TRUE(changed([](FakeProbe& p) { p.columns[1] = "c"; }));
  EXPECT_TRUE(changed([](FakeProbe& p) { p.vocabulary.pop_back(); }));
  EXPECT_TRUE(changed([](FakeProbe& p) { p.count = 8; }));
  EXPECT_TRUE(changed([](FakeProbe& p) { p.readable = false; }));
}

TEST(RecordedProbe, ADamagedQuestionHasNoAnswer) {
  FakeProbe fake;
  for (const ProbeRecord& record : recordAll(fake)) {
    for (size_t size = 0; size < record.question.size(); ++size) {
      ProbeRecord cut = record;
      cut.question.resize(size);
      EXPECT_FALSE(answersStillHold({&cut, 1}, fake)) << size;
    }
  }
}

} // namespace
} // namespace dnn::driver
