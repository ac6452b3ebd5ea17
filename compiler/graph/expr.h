// Scalar expressions: the bodies of comps and scatters. Immutable, hash-consed in their module: two structurally equal
// expressions of one module are the same pointer, so equality is pointer equality and sharing is free. Printed as
// trees.
#pragma once

#include "compiler/types/dim.h"
#include "compiler/types/dtype.h"
#include "compiler/types/scalar_op.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace dnn::graph {

struct Expr;
using ExprRef = const Expr*;

enum class ExprKind : uint8_t {
  Const,  ///< a number of type dtype
  Index,  ///< the value of one of the op's index variables, i32
  Extent, ///< the run-time value of a linear form over the symbols, i32
  Access, ///< an element of a tensor operand
  Apply,  ///< a scalar operator
  Cast,   ///< conversion of its one argument to dtype; float to integer truncates, to bool is `!= 0`, f32 to f16 rounds
  Draw,   ///< a random number, a pure function of (seed, step, site, coordinates)
};

/// One node. Which members count depends on kind; the rest stay at their defaults so that equality is simple.
struct Expr {
  ExprKind kind = ExprKind::Const;
  DType dtype = DType::F32;

  double number = 0;           ///< Const of a float type
  int64_t integer = 0;         ///< Const of an integer or bool type
  uint32_t index = 0;          ///< Index: position in the op's domain (dims first, then the reduction's indices)
  Dim extent;                  ///< Extent
  uint32_t operand = 0;        ///< Access: position in the op's operands
  std::optional<double> fill;  ///< Access: its value where a subscript is out of range; none = proved in range
  ScalarOp op = ScalarOp::Add; ///< Apply
  Distribution distribution = Distribution::Uniform; ///< Draw
  uint32_t site = 0;                                 ///< Draw
  /// Access: the subscripts, integers, one a dimension. Apply and Cast: the arguments. Draw: the coordinates; the
  /// stream counter is `lo` = args[0], `hi` = args[1] (see runtime/random/philox.h).
  std::vector<ExprRef> args;

  bool operator==(const Expr&) const = default;
};

/// Makes and owns the expressions of a module.
class ExprPool {
public:
  ExprPool();
  ~ExprPool();
  ExprPool(const ExprPool&) = delete;
  ExprPool& operator=(const ExprPool&) = delete;

  ExprRef intern(Expr e);

  ExprRef number(double value, DType dtype = DType::F32);
  ExprRef integer(int64_t value, DType dtype = DType::I32);
  ExprRef boolean(bool value);
  ExprRef index(uint32_t position);
  ExprRef extent(Dim dim);
  ExprRef access(uint32_t operand, DType dtype, std::vector<ExprRef> subscripts,
                 std::optional<double> fill = std::nullopt);
  /// Result type from the operator's row in scalar_ops.def; asserts arity and equal operand types. No simplification.
  ExprRef apply(ScalarOp op, std::vector<ExprRef> args);
  ExprRef cast(DType to, ExprRef value);
  ExprRef draw(Distribution d, uint32_t site, ExprRef lo, ExprRef hi);

private:
  struct Impl;
  Impl* impl_;
};

/// The type that op has on these arguments; none if their number or types do not fit its row in scalar_ops.def.
std::optional<DType> resultType(ScalarOp op, std::span<const ExprRef> args);

/// Calls visit(e) for each distinct node below and including root, arguments first.
template <class F> void forEachNode(ExprRef root, F&& visit);
/// Rebuilds root bottom-up: replace(e, newArgs) → the new node for e, or nullptr for "e with newArgs". Memoised.
template <class F> ExprRef rewrite(ExprPool& pool, ExprRef root, F&& replace);

} // namespace dnn::graph

#include "compiler/graph/expr_walk.h" // IWYU pragma: export
