#include "compiler/graph/affine.h"

#include "graph_text.h"

#include <limits>

namespace dnn::graph {
namespace {

/// The body of the one comp in a function with symbols N <= 64 and T <= 8 and integer inputs %t, < 10, and %u.
struct Body {
  std::unique_ptr<Module> module;
  const Op* op;

  explicit Body(const std::string& domain, const std::string& body) {
    auto parsed = parseModule("func @f [N <= 64, T <= 8] { %t = input \"t\" : i32[N] < 10 %u = input \"u\" : i32[N] " +
                                  std::string("%r = comp [") + domain + "] : i32 { " + body + " } }",
                              "test");
    EXPECT_TRUE(parsed.ok()) << parsed.error().message;
    module = std::move(*parsed);
    op = module->functions[0]->body.ops.back();
  }

  std::string form() const {
    auto form = linearForm(op->body);
    if (!form) {
      return "none";
    }
    Op shown;
    module->functions[0]->body.ops.back()->body = toExpr(module->exprs, *form);
    std::string text = print(*module);
    size_t begin = text.find(" { ", text.find("comp")) + 3;
    return text.substr(begin, text.find(" }\n", begin) - begin);
  }

  std::string range() const {
    const auto& symbols = module->functions[0]->symbols;
    Range range = rangeOf(op->body, *op, symbols);
    return range.lower.str(symbols) + ".." + range.upper.str(symbols) + " " + std::to_string(range.min) + ".." +
           std::to_string(range.max);
  }
};

std::string formOf(const std::string& domain, const std::string& body) { return Body(domain, body).form(); }
std::string rangeText(const std::string& domain, const std::string& body) { return Body(domain, body).range(); }

TEST(LinearForm, CollectsFactors) {
  EXPECT_EQ(formOf("i:4, j:4", "2*(i + j) - 1 - j"), "sub(add(mul(2, i), j), 1)");
  EXPECT_EQ(formOf("i:4", "i - i"), "0");
  EXPECT_EQ(formOf("i:4", "(1 - i)*3"), "add(mul(-3, i), 3)");
  EXPECT_EQ(formOf("i:4", "extent(N) - 1 - i"), "add(mul(-1, i), extent(N - 1))");
  EXPECT_EQ(formOf("i:4", "neg(i)*(2 + 3)"), "mul(-5, i)");
}

TEST(LinearForm, KeepsWhatIsNotLinearAsAtoms) {
  EXPECT_EQ(formOf("i:4, j:4", "i*j + 2*(i*j)"), "mul(3, mul(i, j))");
  EXPECT_EQ(formOf("i:4", "i/2*2 + 1"), "add(mul(2, div(i, 2)), 1)");
  EXPECT_EQ(formOf("i:4", "%t[i] - 2*%t[i]"), "mul(-1, %t[i])");
  EXPECT_EQ(formOf("i:4", "i*extent(N)"), "mul(i, extent(N))");
}

TEST(LinearForm, QuotientAndRemainderMakeTheWhole) {
  EXPECT_EQ(formOf("i:40", "10*(i/10) + i%10"), "i");
  EXPECT_EQ(formOf("i:40", "3*((i + 1)%10) - 2 + 30*((i + 1)/10)"), "add(mul(3, i), 1)");
  EXPECT_EQ(formOf("i:40", "4*(i/2/2) + 2*(i/2%2) + i%2"), "i");
  EXPECT_EQ(formOf("i:40", "9*(i/10) + i%10"), "add(mul(9, div(i, 10)), mod(i, 10))");
}

TEST(LinearForm, GivesUpBeyond32Bits) {
  EXPECT_EQ(formOf("i:4", "i*2000000000*2000000000"), "none");
  EXPECT_EQ(formOf("i:4", "i*2000000000 + i*2000000000"), "none");
}

TEST(LinearForm, SharedSubexpressionsCostNothing) {
  ExprPool pool;
  ExprRef e = pool.index(0);
  for (int i = 0; i < 30; ++i) { // 2^30 nodes as a tree
    e = pool.apply(ScalarOp::Add, {e, e});
  }
  EXPECT_EQ(linearForm(e)->factorOf(0), int64_t(1) << 30);
}

TEST(Range, OfLinearForms) {
  EXPECT_EQ(rangeText("i:14, u:3", "2*i + u - 1"), "-1..27 -1..27");
  EXPECT_EQ(rangeText("n:N", "extent(N) - 1 - n"), "0..N - 1 0..63");
  EXPECT_EQ(rangeText("n:N, t:T", "2*n + 3*t"), "0..2*N + 3*T - 5 0..147");
  EXPECT_EQ(rangeText("n:N", "n - n"), "0..0 0..0");
}

TEST(Range, OfQuotientsAndRemainders) {
  EXPECT_EQ(rangeText("i:11", "i/2"), "0..5 0..5");
  EXPECT_EQ(rangeText("i:11", "(i - 5)/2"), "-3..2 -3..2");
  EXPECT_EQ(rangeText("n:2*N", "n/2"), "0..N - 1 0..63");
  EXPECT_EQ(rangeText("n:N", "n/2"), "0..N - 1 0..31");
  EXPECT_EQ(rangeText("n:N", "n%10"), "0..9 0..9");
  EXPECT_EQ(rangeText("i:4", "i%10"), "0..3 0..3");
  EXPECT_EQ(rangeText("i:4", "(i - 1)%10"), "0..9 0..9");
  EXPECT_EQ(rangeText("i:40", "i/(2*5)"), "0..3 0..3");
  EXPECT_EQ(rangeText("i:40", "i/(i + 1)"), "0..39 0..39");
  EXPECT_EQ(rangeText("i:40", "(i - 5)/(i%2 + 1)"), "-5..34 -5..34");
  EXPECT_EQ(rangeText("i:40", "40/(i - 5)"), "-2147483648..2147483647 -2147483648..2147483647");
}

TEST(Range, OfDataAndChoices) {
  EXPECT_EQ(rangeText("n:N", "%t[n] + 1"), "1..10 1..10");
  EXPECT_EQ(rangeText("n:N", "%t[n + 1; -3]"), "-3..9 -3..9");
  EXPECT_EQ(rangeText("n:N", "%u[n]"), "-2147483648..2147483647 -2147483648..2147483647");
  EXPECT_EQ(rangeText("n:N", "%u[n] + 1"), "-2147483648..2147483647 -2147483648..2147483647");
  EXPECT_EQ(rangeText("n:N", "max(min(%u[n], 9), 0)"), "0..9 0..9");
  EXPECT_EQ(rangeText("n:N", "min(n + 1, extent(N - 1))"), "0..N - 1 0..63");
  EXPECT_EQ(rangeText("n:N, i:7", "select(lt(n, 3), n, i)"), "0..63 0..63");
  EXPECT_EQ(rangeText("i:7", "abs(i - 5)"), "0..5 0..5");
  EXPECT_EQ(rangeText("i:7", "i32(lt(i, 3))"), "0..1 0..1");
}

TEST(Range, DependsOnIndexLooksIntoSubscripts) {
  Body body("n:N, i:3", "%t[n]");
  EXPECT_TRUE(dependsOnIndex(body.op->body, 0));
  EXPECT_FALSE(dependsOnIndex(body.op->body, 1));
}

} // namespace
} // namespace dnn::graph
