#include "compiler/frontend/parse.h"

#include <chrono>
#include <gtest/gtest.h>

namespace dnn::frontend {
namespace {

using diag::DiagId;

class ParseTest : public testing::Test {
protected:
  std::unique_ptr<ast::File> parse(std::string text) {
    return parseFile(sources.addVirtual("m.dnn", std::move(text)), diags);
  }
  const ast::Expr& constant(const ast::File& file) { return *std::get<ast::ConstDecl>(file.decls.at(0)->node).value; }

  diag::Sources sources;
  diag::Diagnostics diags{sources};
};

TEST_F(ParseTest, anEmptyFileHasNoDefinitions) {
  auto file = parse("");
  ASSERT_NE(file, nullptr);
  EXPECT_TRUE(file->decls.empty());
}

TEST_F(ParseTest, rangesAreBytesBehindByteOrderMarkAndUmlauts) {
  auto file = parse("\xEF\xBB\xBF# ä\nconst a = (bb + c) # ö");
  ASSERT_NE(file, nullptr) << diags.render();
  const ast::Expr& e = constant(*file);
  EXPECT_EQ(sources.text(e.range), "(bb + c)");
  const auto& sum = std::get<ast::Binary>(e.node);
  EXPECT_EQ(sources.text(sum.left->range), "bb");
  EXPECT_EQ(sources.text(sum.opRange), "+");
  EXPECT_EQ(sources.text(file->decls[0]->range), "const a = (bb + c)");
}

TEST_F(ParseTest, aVirtualTextOverTheLimitIsRefused) {
  EXPECT_EQ(parse(std::string(diag::Sources::kMaxBytes + 1, ' ')), nullptr);
  ASSERT_EQ(diags.errorCount(), 1U);
  EXPECT_EQ(diags.all()[0].id, DiagId::file_too_large);
}

TEST_F(ParseTest, expressionsUpToTheLimitsParse) {
  std::string chain = "const a = 1";
  for (uint32_t i = 0; i < ast::kMaxHeight; ++i) {
    chain += " - 1";
  }
  auto file = parse(chain);
  ASSERT_NE(file, nullptr) << diags.render();
  EXPECT_EQ(constant(*file).height, ast::kMaxHeight);
  EXPECT_NE(parse("const a = " + std::string(kMaxNesting, '(') + "1" + std::string(kMaxNesting, ')')), nullptr);
}

TEST_F(ParseTest, oneBeyondTheLimitsIsReported) {
  std::string chain = "const a = 1";
  for (uint32_t i = 0; i <= ast::kMaxHeight; ++i) {
    chain += " - 1";
  }
  EXPECT_EQ(parse(chain), nullptr);
  EXPECT_EQ(diags.all().back().id, DiagId::expression_too_long);
  EXPECT_EQ(parse("const a = " + std::string(kMaxNesting + 1, '(') + "1" + std::string(kMaxNesting + 1, ')')), nullptr);
  EXPECT_EQ(diags.all().back().id, DiagId::nested_too_deep);
}

TEST_F(ParseTest, chainsInsideScansCountForTheExpressionAroundThem) {
  // 100 levels of scans, each the left end of a sum of 100: far higher than any one chain or nesting.
  std::string text;
  for (int level = 0; level < 100; ++level) {
    std::string sum = level == 0 ? "1" : "(" + text + ")";
    for (int i = 0; i < 100; ++i) {
      sum += " + 1";
    }
    text = "scan t: 2 with h = 0 { emit " + sum + " }";
  }
  EXPECT_EQ(parse("const a = " + text), nullptr);
  ASSERT_GE(diags.errorCount(), 1U);
}

TEST_F(ParseTest, twoThousandStatementsParseFast) {
  std::string text = "layer A(x: f32[N, K]) -> f32[N, K] {\n";
  for (int i = 0; i < 2000; ++i) {
    std::string n = std::to_string(i);
    text += "  let y" + n + "[n, o] = sum[k] x[n, k] * w[k, o] + b[o]\n";
  }
  auto start = std::chrono::steady_clock::now();
  auto file = parse(text + "  return y\n}\n");
  std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  ASSERT_NE(file, nullptr) << diags.render();
  // About 70 ms; the bound is for slow and busy machines and catches what grows faster than linearly.
  EXPECT_LT(took.count(), 3000);
}

} // namespace
} // namespace dnn::frontend
