#include "compiler/ast/ast.h"

namespace dnn::ast {

// Here, where every node is a complete type.
Stmt::Stmt(SourceRange range, Node node) : range(range), node(std::move(node)) {}
Stmt::~Stmt() = default;

std::string_view spelling(UnaryOp op) {
  switch (op) {
  case UnaryOp::Neg: return "-";
  case UnaryOp::Not: return "not";
  }
  return "?";
}

std::string_view spelling(BinaryOp op) {
  switch (op) {
  case BinaryOp::Add: return "+";
  case BinaryOp::Sub: return "-";
  case BinaryOp::Mul: return "*";
  case BinaryOp::Div: return "/";
  case BinaryOp::Mod: return "%";
  case BinaryOp::Eq: return "==";
  case BinaryOp::Ne: return "!=";
  case BinaryOp::Lt: return "<";
  case BinaryOp::Le: return "<=";
  case BinaryOp::Gt: return ">";
  case BinaryOp::Ge: return ">=";
  case BinaryOp::And: return "and";
  case BinaryOp::Or: return "or";
  }
  return "?";
}

std::string_view spelling(ReduceKind kind) {
  switch (kind) {
  case ReduceKind::Sum: return "sum";
  case ReduceKind::Prod: return "prod";
  case ReduceKind::Max: return "max";
  case ReduceKind::Min: return "min";
  case ReduceKind::Mean: return "mean";
  case ReduceKind::ArgMax: return "argmax";
  case ReduceKind::ArgMin: return "argmin";
  case ReduceKind::Any: return "any";
  case ReduceKind::All: return "all";
  }
  return "?";
}

} // namespace dnn::ast
