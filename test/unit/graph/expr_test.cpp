#include "compiler/graph/expr.h"

#include <gtest/gtest.h>

#include <limits>

namespace dnn::graph {
namespace {

TEST(ExprPool, EqualExpressionsAreOnePointer) {
  ExprPool pool;
  auto make = [&] {
    return pool.apply(ScalarOp::Mul, {pool.access(0, DType::F32, {pool.index(1)}, 0.5), pool.number(2)});
  };
  EXPECT_EQ(make(), make());
  EXPECT_NE(pool.index(0), pool.index(1));
  EXPECT_NE(pool.number(1), pool.number(1, DType::F64));
  EXPECT_EQ(pool.extent(Dim::symbol(0) + 1), pool.extent(Dim(1) + Dim::symbol(0)));
}

TEST(ExprPool, ZeroHasTwoSignsAndNaNIsOneConstant) {
  ExprPool pool;
  EXPECT_NE(pool.number(0.0), pool.number(-0.0));
  double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(pool.number(nan), pool.number(-nan));
  EXPECT_NE(pool.access(0, DType::F32, {}, 0.0), pool.access(0, DType::F32, {}, -0.0));
  EXPECT_NE(pool.access(0, DType::F32, {}, 0.0), pool.access(0, DType::F32, {}));
}

TEST(ExprPool, ConstantsHaveTheValueOfTheirType) {
  ExprPool pool;
  EXPECT_EQ(pool.number(0.1), pool.number(static_cast<double>(0.1f)));
  EXPECT_NE(pool.number(0.1, DType::F64), pool.number(static_cast<double>(0.1f), DType::F64));
}

TEST(ResultType, FollowsTheTableOfOperators) {
  ExprPool pool;
  ExprRef i = pool.index(0);
  ExprRef x = pool.number(1);
  ExprRef b = pool.boolean(true);
  auto type = [](ScalarOp op, std::vector<ExprRef> args) { return resultType(op, args); };
  EXPECT_EQ(type(ScalarOp::Add, {i, i}), DType::I32);
  EXPECT_EQ(type(ScalarOp::Add, {i, x}), std::nullopt);
  EXPECT_EQ(type(ScalarOp::Add, {b, b}), std::nullopt);
  EXPECT_EQ(type(ScalarOp::Exp, {i}), std::nullopt);
  EXPECT_EQ(type(ScalarOp::Mod, {x, x}), std::nullopt);
  EXPECT_EQ(type(ScalarOp::Lt, {i, i}), DType::Bool);
  EXPECT_EQ(type(ScalarOp::Eq, {b, b}), DType::Bool);
  EXPECT_EQ(type(ScalarOp::And, {b, b}), DType::Bool);
  EXPECT_EQ(type(ScalarOp::And, {i, i}), std::nullopt);
  EXPECT_EQ(type(ScalarOp::Select, {b, x, x}), DType::F32);
  EXPECT_EQ(type(ScalarOp::Select, {b, b, b}), DType::Bool);
  EXPECT_EQ(type(ScalarOp::Select, {i, x, x}), std::nullopt);
  EXPECT_EQ(type(ScalarOp::Select, {b, x, i}), std::nullopt);
  EXPECT_EQ(type(ScalarOp::Neg, {x, x}), std::nullopt);
}

TEST(ForEachNode, VisitsSharedNodesOnceAndArgumentsFirst) {
  ExprPool pool;
  ExprRef e = pool.index(0);
  for (int i = 0; i < 60; ++i) { // 2^60 nodes as a tree
    e = pool.apply(ScalarOp::Add, {e, e});
  }
  std::vector<ExprRef> visited;
  forEachNode(e, [&](ExprRef node) { visited.push_back(node); });
  EXPECT_EQ(visited.size(), 61u);
  EXPECT_EQ(visited.front(), pool.index(0));
  EXPECT_EQ(visited.back(), e);
}

TEST(Rewrite, RebuildsWhatChangesAndKeepsTheRest) {
  ExprPool pool;
  ExprRef kept = pool.apply(ScalarOp::Mul, {pool.index(1), pool.integer(2)});
  ExprRef root = pool.apply(ScalarOp::Add, {pool.index(0), kept});
  ExprRef same = rewrite(pool, root, [](ExprRef, const std::vector<ExprRef>&) -> ExprRef { return nullptr; });
  EXPECT_EQ(same, root);
  ExprRef shifted = rewrite(pool, root, [&](ExprRef e, const std::vector<ExprRef>&) -> ExprRef {
    return e == pool.index(0) ? pool.integer(7) : nullptr;
  });
  EXPECT_EQ(shifted, pool.apply(ScalarOp::Add, {pool.integer(7), kept}));
}

TEST(Rewrite, NeedsNoStackInProportionToTheDepth) {
  ExprPool pool;
  ExprRef e = pool.index(0);
  for (int i = 0; i < 200000; ++i) {
    e = pool.apply(ScalarOp::Neg, {e});
  }
  ExprRef other = rewrite(pool, e, [&](ExprRef node, const std::vector<ExprRef>&) -> ExprRef {
    return node->kind == ExprKind::Index ? pool.index(1) : nullptr;
  });
  EXPECT_NE(other, e);
}

} // namespace
} // namespace dnn::graph
