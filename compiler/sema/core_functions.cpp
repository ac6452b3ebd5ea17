#include "compiler/sema/core_functions.h"

#include <map>

namespace dnn::sema {

namespace {

/// The operators of scalar_ops.def that are written as calls; the others have a sign of their own.
constexpr ScalarOp kNamedOps[] = {ScalarOp::Abs,     ScalarOp::Exp,  ScalarOp::Log,   ScalarOp::Log1p,
                                  ScalarOp::Expm1,   ScalarOp::Sqrt, ScalarOp::Rsqrt, ScalarOp::Sin,
                                  ScalarOp::Cos,     ScalarOp::Tanh, ScalarOp::Erf,   ScalarOp::Lgamma,
                                  ScalarOp::Floor,   ScalarOp::Ceil, ScalarOp::Round, ScalarOp::Pow,
                                  ScalarOp::Digamma, ScalarOp::Min,  ScalarOp::Max,   ScalarOp::StopGrad};

const std::map<std::string, CoreFn>& table() {
  static const std::map<std::string, CoreFn> all = [] {
    std::map<std::string, CoreFn> names;
    for (ScalarOp op : kNamedOps) {
      names[std::string(infoOf(op).spelling)] = {CoreFn::Kind::Scalar, op, DType::F32};
    }
    for (DType t : {DType::F32, DType::F64, DType::I32, DType::I64, DType::U8, DType::U32, DType::BF16, DType::F16}) {
      names[std::string(nameOf(t))] = {CoreFn::Kind::Cast, ScalarOp::Add, t};
    }
    names["float"] = {CoreFn::Kind::Cast, ScalarOp::Add, DType::F32};
    names["int"] = {CoreFn::Kind::Cast, ScalarOp::Add, DType::I32};
    names["draw_uniform"].kind = CoreFn::Kind::DrawUniform;
    names["draw_normal"].kind = CoreFn::Kind::DrawNormal;
    names["reshape"].kind = CoreFn::Kind::Reshape;
    names["concat"].kind = CoreFn::Kind::Concat;
    names["repeat"].kind = CoreFn::Kind::Repeat;
    names["chain"].kind = CoreFn::Kind::Chain;
    names["recompute"].kind = CoreFn::Kind::Recompute;
    names["grad"].kind = CoreFn::Kind::Grad;
    names["size"].kind = CoreFn::Kind::Size;
    return names;
  }();
  return all;
}

} // namespace

std::optional<CoreFn> findCoreFn(const std::string& name) {
  auto it = table().find(name);
  return it == table().end() ? std::nullopt : std::optional(it->second);
}

std::vector<std::string> coreNames() {
  std::vector<std::string> names = {"training"};
  for (auto& [name, fn] : table()) {
    names.push_back(name);
  }
  return names;
}

} // namespace dnn::sema
