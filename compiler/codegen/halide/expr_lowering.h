// Bodies as Halide expressions.
#pragma once

#include "compiler/graph/affine.h"
#include "compiler/graph/graph.h"

#include "Halide.h"

#include <functional>
#include <unordered_map>
#include <vector>

namespace dnn::codegen {

/// How the elements of f32, … are stored; bool as a byte.
Halide::Type storageType(DType dtype);
/// How they are computed with; bool as UInt(1).
Halide::Type valueType(DType dtype);
Halide::Expr toStorage(const Halide::Expr& value, DType dtype);
Halide::Expr fromStorage(const Halide::Expr& stored, DType dtype);
Halide::Expr constant(double value, DType dtype);

/// Where a body's leaves come from.
class ValueSource {
public:
  virtual ~ValueSource() = default;
  virtual Halide::Expr extent(const Dim& dim) = 0;
  /// An element, as valueType; subscripts in row-major order.
  virtual Halide::Expr element(const graph::Value* v, const std::vector<Halide::Expr>& subscripts) = 0;
  virtual Halide::Expr drawn(const graph::Expr& e, const Halide::Expr& lo, const Halide::Expr& hi) = 0;
};

/// Lowers expressions of one op at one point of its domain. Equal subexpressions are lowered once.
class ExprLowering {
public:
  /// indices: the value of each index variable of the domain.
  ExprLowering(ValueSource& source, const graph::Op& op, std::span<const Symbol> symbols,
               std::vector<Halide::Expr> indices)
      : source_(source), op_(op), ranges_(op, symbols), indices_(std::move(indices)) {}

  /// Uses this value for the node instead of lowering it.
  void replace(graph::ExprRef node, Halide::Expr value) { known_[node] = std::move(value); }

  Halide::Expr lower(graph::ExprRef root);

private:
  Halide::Expr lowerNode(graph::ExprRef e);
  Halide::Expr lowerAccess(graph::ExprRef e);
  Halide::Expr lowerCast(graph::ExprRef e);
  Halide::Expr opaque(graph::ExprRef e, const Halide::Expr& value);

  ValueSource& source_;
  const graph::Op& op_;
  graph::RangeAnalysis ranges_;
  std::vector<Halide::Expr> indices_;
  std::unordered_map<graph::ExprRef, Halide::Expr> known_;
};

/// The subscript as Halide's bounds inference should see it: it finds the range of affine ones itself, and is told that
/// of all others.
Halide::Expr promised(graph::ExprRef subscript, const Halide::Expr& lowered, const Halide::Expr& extent);

} // namespace dnn::codegen
