#include "compiler/algebra/cost.h"

#include "compiler/support/assert.h"

namespace dnn::algebra {

using graph::Expr;
using graph::ExprKind;
using graph::ExprRef;

namespace {

constexpr int expensive = 20;

int costOf(const Expr& e) {
  switch (e.kind) {
  case ExprKind::Const: return e.number < 0 ? 1 : 0; // a - b reads better than a + -b
  case ExprKind::Index:
  case ExprKind::Extent: return 0;
  case ExprKind::Access: return 2;
  case ExprKind::Cast: return 1;
  case ExprKind::Draw: return 4 * expensive;
  case ExprKind::Apply: return isInteger(e.dtype) ? 0 : cost(e.op);
  }
  DNN_UNREACHABLE("every kind of expression has a cost");
}

} // namespace

int cost(ScalarOp op) {
  switch (op) {
  case ScalarOp::StopGrad: return 0;
  case ScalarOp::Neg: return 1; // often part of the next operation
  case ScalarOp::Abs:
  case ScalarOp::Not:
  case ScalarOp::Add:
  case ScalarOp::Sub:
  case ScalarOp::Mul:
  case ScalarOp::Min:
  case ScalarOp::Max:
  case ScalarOp::Lt:
  case ScalarOp::Le:
  case ScalarOp::Gt:
  case ScalarOp::Ge:
  case ScalarOp::Eq:
  case ScalarOp::Ne:
  case ScalarOp::And:
  case ScalarOp::Or:
  case ScalarOp::Select: return 2;
  case ScalarOp::Floor:
  case ScalarOp::Ceil:
  case ScalarOp::Round: return 4;
  case ScalarOp::Div:
  case ScalarOp::Mod:
  case ScalarOp::Sqrt:
  case ScalarOp::Rsqrt: return 12;
  case ScalarOp::Exp:
  case ScalarOp::Log:
  case ScalarOp::Log1p:
  case ScalarOp::Expm1:
  case ScalarOp::Sin:
  case ScalarOp::Cos:
  case ScalarOp::Tanh:
  case ScalarOp::Erf:
  case ScalarOp::Lgamma:
  case ScalarOp::Digamma:
  case ScalarOp::Pow: return 2 * expensive;
  }
  DNN_UNREACHABLE("every operator has a cost");
}

int cost(ExprRef root) {
  int sum = 0;
  graph::forEachNode(root, [&](ExprRef e) { sum += costOf(*e); });
  return sum;
}

bool isExpensive(ExprRef root) {
  bool found = false;
  graph::forEachNode(root, [&](ExprRef e) {
    found |= e->kind == ExprKind::Draw || (e->kind == ExprKind::Apply && cost(e->op) >= expensive);
  });
  return found;
}

} // namespace dnn::algebra
