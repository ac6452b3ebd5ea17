// The scalar operators as an enum, with their spelling and arity, from scalar_ops.def.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace dnn {

enum class ScalarOp : uint8_t {
#define SCALAR_OP(name, spelling, arity, result) name,
#include "compiler/types/scalar_ops.def"
};

enum class ScalarResult : uint8_t { Same, Bool, Int, Float };

struct ScalarOpInfo {
  ScalarOp op;
  std::string_view spelling;
  int arity;
  ScalarResult result;
};

const ScalarOpInfo& infoOf(ScalarOp op);
std::optional<ScalarOp> findScalarOp(std::string_view spelling);

/// How a reduction combines its points. Mean is Add and a division by the count, made by the builder.
/// ArgMax/ArgMin give the row-major position in the reduction domain, the first on ties, as i32.
enum class Reduction : uint8_t { None, Add, Mul, Max, Min, ArgMax, ArgMin, Any, All };
/// Whether the reduction gives a position, not a value.
constexpr bool isArg(Reduction r) { return r == Reduction::ArgMax || r == Reduction::ArgMin; }
std::string_view nameOf(Reduction r);
std::optional<Reduction> findReduction(std::string_view name);

/// Distributions that are drawn per point by the counter-based generator: uniform on [0,1), standard normal.
enum class Distribution : uint8_t { Uniform, Normal };
std::string_view nameOf(Distribution d);

} // namespace dnn
