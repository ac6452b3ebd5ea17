#include "compiler/types/scalar_op.h"

#include <array>

namespace dnn {

namespace {
constexpr ScalarOpInfo table[] = {
#define SCALAR_OP(name, spelling, arity, result) {ScalarOp::name, spelling, arity, ScalarResult::result},
#include "compiler/types/scalar_ops.def"
};
constexpr std::array<std::string_view, 9> reductionNames = {"none",   "add",    "mul", "max", "min",
                                                            "argmax", "argmin", "any", "all"};
} // namespace

const ScalarOpInfo& infoOf(ScalarOp op) { return table[static_cast<size_t>(op)]; }

std::optional<ScalarOp> findScalarOp(std::string_view spelling) {
  for (const ScalarOpInfo& info : table) {
    if (info.spelling == spelling) {
      return info.op;
    }
  }
  return std::nullopt;
}

std::string_view nameOf(Reduction r) { return reductionNames[static_cast<size_t>(r)]; }

std::optional<Reduction> findReduction(std::string_view name) {
  for (size_t i = 0; i < reductionNames.size(); ++i) {
    if (reductionNames[i] == name) {
      return static_cast<Reduction>(i);
    }
  }
  return std::nullopt;
}

std::string_view nameOf(Distribution d) { return d == Distribution::Uniform ? "uniform" : "normal"; }

} // namespace dnn
