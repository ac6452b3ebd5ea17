#include "runtime/plan/plan.h"

#include "test/unit/runtime/fake_program.h"

#include <gtest/gtest.h>

namespace dnn::plan {
namespace {

Plan fullPlan() {
  Plan plan = test::fakePlan();
  plan.sources.push_back({.kind = Source::Kind::Csv,
                          .name = "c",
                          .paths = {"a.csv"},
                          .fields = {{.name = "x", .dtype = DType::U8, .batched = true, .dims = {2}, .bound = 7}},
                          .columns = {{.runs = {{"p0", "p1"}, {"q", "q"}},
                                       .categorical = true,
                                       .missingCategory = true,
                                       .categories = {"a", "b"},
                                       .fills = {0.5, 2}}},
                          .split = -0.25,
                          .splitSeed = 11,
                          .statistics = {{Statistic::Kind::Deviation, 0, 1}}});
  plan.sources.push_back({.kind = Source::Kind::Text,
                          .name = "s",
                          .maxLength = 9,
                          .bucket = true,
                          .text = {TextRule::Unit::Word, true, 5, 2, true},
                          .vocabulary = {"<unk>", "the"},
                          .fold = -2,
                          .folds = 5});
  plan.sources.push_back({.kind = Source::Kind::Table, .name = "t", .table = {{1, 2, 3}}, .rows = 3});
  plan.phases[0].steps = 1000;
  plan.phases[0].patience = {5, "te.loss", true};
  plan.phases[0].plateau = {2, "te.loss", 1};
  plan.phases[0].inits = {{"net", "a.ckpt", "old"}};
  plan.parts = {{"b.ckpt", "net.w", {3, true}}};
  plan.checkpoint = {"x.ckpt", {2, false}, "te.acc", true};
  plan.entries[1].watchedTables = {1};
  plan.entries[1].lengths = {9};
  plan.entries[1].inputs[0].varying = {{0, 1, {{1, 2}}}};
  plan.entries[1].outputs[0].every = {100, true};
  return plan;
}

TEST(Plan, EncodingRoundTrips) {
  std::vector<uint8_t> bytes = encode(fullPlan());
  Plan again;
  std::string error;
  ASSERT_TRUE(decode(bytes.data(), bytes.size(), again, error)) << error;
  EXPECT_EQ(encode(again), bytes);
  EXPECT_EQ(again.sources[1].columns[0].runs[0].last, "p1");
  EXPECT_EQ(again.sources[1].columns[0].categories[1], "b");
  EXPECT_EQ(again.sources[1].columns[0].fills[1], 2);
  EXPECT_EQ(again.sources[1].statistics[0].persistent, 1u);
  EXPECT_EQ(again.sources[2].text.stride, 2);
  EXPECT_EQ(again.sources[2].vocabulary[1], "the");
  EXPECT_EQ(again.sources[2].fold, -2);
  EXPECT_EQ(again.sources[2].maxLength, 9);
  EXPECT_TRUE(again.sources[2].bucket && again.sources[2].text.lines);
  EXPECT_EQ(again.entries[1].lengths, std::vector<int64_t>{9});
  EXPECT_EQ(again.entries[1].inputs[0].varying[0].terms[0].factor, 2);
  EXPECT_EQ(again.entries[1].outputs[0].every.count, 100u);
  EXPECT_EQ(again.sources[1].split, -0.25);
  EXPECT_EQ(again.sources[1].splitSeed, 11u);
  EXPECT_EQ(again.sources[3].table, fullPlan().sources[3].table);
  EXPECT_EQ(again.entries[1].watchedPersistents, (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(again.entries[1].watchedTables, (std::vector<uint32_t>{1}));
  EXPECT_EQ(again.checkpoint.best, "te.acc");
  EXPECT_EQ(again.checkpoint.every.count, 2u);
  EXPECT_TRUE(again.parts[0].every.steps);
  EXPECT_EQ(again.phases[0].patience.epochs, 5u);
  EXPECT_EQ(again.phases[0].inits[0].source, "old");
  EXPECT_EQ(again.parts[0].part, "net.w");
}

TEST(Plan, EveryTruncationAndTrailingByteIsRefused) {
  std::vector<uint8_t> bytes = encode(fullPlan());
  Plan plan;
  std::string error;
  for (size_t size = 0; size < bytes.size(); ++size) {
    std::vector<uint8_t> part(bytes.begin(), bytes.begin() + static_cast<int64_t>(size));
    ASSERT_FALSE(decode(part.data(), part.size(), plan, error)) << size;
  }
  bytes.push_back(0);
  EXPECT_FALSE(decode(bytes.data(), bytes.size(), plan, error));
}

TEST(Plan, AnotherVersionIsRefused) {
  std::vector<uint8_t> bytes = encode(fullPlan());
  bytes[8] = 99;
  Plan plan;
  std::string error;
  EXPECT_FALSE(decode(bytes.data(), bytes.size(), plan, error));
  EXPECT_EQ(error, "the plan was written by another version of the compiler; compile the program again");
}

} // namespace
} // namespace dnn::plan
