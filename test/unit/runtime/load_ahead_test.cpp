#include "runtime/data/load_ahead.h"

#include "test/unit/runtime/fake_program.h"

#include <filesystem>
#include <gtest/gtest.h>

namespace dnn::runtime {
namespace {

using plan::Source;

class LoadAheadFiles : public testing::Test {
protected:
  void SetUp() override {
    plan_.directory = folder_.path("");
    for (const char* name : {"a", "b", "c"}) {
      Source& source = plan_.sources.emplace_back();
      source.name = name;
      source.kind = Source::Kind::Csv;
      source.paths = {std::string(name) + ".csv"};
      source.fields = {{.name = "x", .dtype = plan::DType::F32}};
      source.columns = {{.runs = {{"x", "x"}}}};
      test::writeText(folder_.path(source.paths[0]), "x\n1\n2\n");
    }
    test::writeText(folder_.path("b.csv"), "x\nword\n");
  }

  test::TemporaryFolder folder_;
  plan::Plan plan_ = test::fakePlan();
};

TEST_F(LoadAheadFiles, GivesWhatItHasReadOnce) {
  LoadAhead ahead(plan_, {}, UINT64_MAX, {"a", "b", "unknown"});
  std::unique_ptr<Dataset> a = ahead.take("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->rows, 2u);
  EXPECT_EQ(ahead.take("a"), nullptr);
  EXPECT_EQ(ahead.take("b"), nullptr) << "it cannot be read";
  EXPECT_EQ(ahead.take("c"), nullptr) << "it was not asked for";
}

TEST_F(LoadAheadFiles, AStoreTakesExamplesAndSaysWhatIsWrong) {
  test::writeText(folder_.path("other.csv"), "x\n1\n2\n3\n");
  DataOverrides overrides = {{"a", {folder_.path("other.csv")}}};
  test::FakeProgram program(plan_);
  Machine machine;
  ASSERT_EQ(machine.load(program.module).message, "");
  LoadAhead ahead(plan_, overrides, UINT64_MAX, {"a", "b"});
  DataStore store(machine, overrides, UINT64_MAX, &ahead);
  const Dataset* data = nullptr;
  ASSERT_EQ(store.load("b", data).code, ExitCode::BadInput);
  ASSERT_TRUE(std::filesystem::remove(folder_.path("other.csv"))) << "it has been read";
  ASSERT_EQ(store.load("a", data).message, "");
  EXPECT_EQ(data->rows, 3u);
  ASSERT_EQ(store.load("c", data).message, "");
  EXPECT_EQ(data->rows, 2u);
}

TEST_F(LoadAheadFiles, EndsBeforeAllIsRead) { LoadAhead ahead(plan_, {}, UINT64_MAX, {"a", "b", "c"}); }

} // namespace
} // namespace dnn::runtime
