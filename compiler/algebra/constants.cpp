#include "compiler/algebra/constants.h"

#include <cmath>
#include <limits>

namespace dnn::algebra {

bool isNormal(double value, DType dtype) {
  double size = std::fabs(value);
  return value == 0 ||
         (dtype == DType::F64 ? std::isnormal(value)
                              : size >= std::numeric_limits<float>::min() && size <= std::numeric_limits<float>::max());
}

std::optional<double> evaluate(ScalarOp op, std::span<const double> x) {
  switch (op) {
  case ScalarOp::Neg: return -x[0];
  case ScalarOp::Abs: return std::fabs(x[0]);
  case ScalarOp::Exp: return std::exp(x[0]);
  case ScalarOp::Log: return std::log(x[0]);
  case ScalarOp::Log1p: return std::log1p(x[0]);
  case ScalarOp::Expm1: return std::expm1(x[0]);
  case ScalarOp::Sqrt: return std::sqrt(x[0]);
  case ScalarOp::Rsqrt: return 1 / std::sqrt(x[0]);
  case ScalarOp::Sin: return std::sin(x[0]);
  case ScalarOp::Cos: return std::cos(x[0]);
  case ScalarOp::Tanh: return std::tanh(x[0]);
  case ScalarOp::Erf: return std::erf(x[0]);
  case ScalarOp::Floor: return std::floor(x[0]);
  case ScalarOp::Ceil: return std::ceil(x[0]);
  case ScalarOp::StopGrad: return x[0];
  case ScalarOp::Add: return x[0] + x[1];
  case ScalarOp::Sub: return x[0] - x[1];
  case ScalarOp::Mul: return x[0] * x[1];
  case ScalarOp::Div: return x[0] / x[1];
  case ScalarOp::Pow: return std::pow(x[0], x[1]);
  case ScalarOp::Min: return std::isnan(x[0]) || x[0] <= x[1] ? x[0] : x[1];
  case ScalarOp::Max: return std::isnan(x[0]) || x[0] >= x[1] ? x[0] : x[1];
  case ScalarOp::Lgamma:
  case ScalarOp::Digamma:
  case ScalarOp::Round:
  case ScalarOp::Mod:
  case ScalarOp::Not:
  case ScalarOp::Lt:
  case ScalarOp::Le:
  case ScalarOp::Gt:
  case ScalarOp::Ge:
  case ScalarOp::Eq:
  case ScalarOp::Ne:
  case ScalarOp::And:
  case ScalarOp::Or:
  case ScalarOp::Select: return std::nullopt;
  }
  return std::nullopt;
}

template <class T> std::optional<bool> evaluateTruth(ScalarOp op, std::span<const T> x) {
  switch (op) {
  case ScalarOp::Not: return x[0] == 0;
  case ScalarOp::Lt: return x[0] < x[1];
  case ScalarOp::Le: return x[0] <= x[1];
  case ScalarOp::Gt: return x[0] > x[1];
  case ScalarOp::Ge: return x[0] >= x[1];
  case ScalarOp::Eq: return x[0] == x[1];
  case ScalarOp::Ne: return x[0] != x[1];
  case ScalarOp::And: return x[0] != 0 && x[1] != 0;
  case ScalarOp::Or: return x[0] != 0 || x[1] != 0;
  case ScalarOp::Neg:
  case ScalarOp::Abs:
  case ScalarOp::Exp:
  case ScalarOp::Log:
  case ScalarOp::Log1p:
  case ScalarOp::Expm1:
  case ScalarOp::Sqrt:
  case ScalarOp::Rsqrt:
  case ScalarOp::Sin:
  case ScalarOp::Cos:
  case ScalarOp::Tanh:
  case ScalarOp::Erf:
  case ScalarOp::Lgamma:
  case ScalarOp::Digamma:
  case ScalarOp::Floor:
  case ScalarOp::Ceil:
  case ScalarOp::Round:
  case ScalarOp::StopGrad:
  case ScalarOp::Add:
  case ScalarOp::Sub:
  case ScalarOp::Mul:
  case ScalarOp::Div:
  case ScalarOp::Mod:
  case ScalarOp::Pow:
  case ScalarOp::Min:
  case ScalarOp::Max:
  case ScalarOp::Select: return std::nullopt;
  }
  return std::nullopt;
}

template std::optional<bool> evaluateTruth(ScalarOp, std::span<const double>);
template std::optional<bool> evaluateTruth(ScalarOp, std::span<const int64_t>);

} // namespace dnn::algebra
