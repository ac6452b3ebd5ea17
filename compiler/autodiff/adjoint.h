// The adjoint of one op of the tensor form.
//
//   y[o] = Σ_r f(x[a(o, r)], …)     dx[i] = Σ_{(o, r): a(o, r) = i}  dy[o] · ∂f/∂x
//
// in gather form wherever the subscripts can be inverted (solve.h): a comp over the elements of x whose free indices
// are summed. A guard selects the points that exist; reads that may leave their tensor where the guard is false get the
// fill value 0. Fill values of the forward op contribute nothing. What cannot be gathered is scattered.
#pragma once

#include "compiler/autodiff/scalar_adjoint.h"
#include "compiler/graph/graph.h"
#include "compiler/support/result.h"

#include <functional>
#include <vector>

namespace dnn::autodiff {

/// Where new ops go, and how they are made.
class Emitter {
public:
  explicit Emitter(graph::Function& function) : function(function), builder(function.module.exprs) {}

  /// result[dims] = reduction over `reduced` of body; operands may be more than the body reads.
  graph::Value* comp(std::vector<graph::IndexVar> dims, std::vector<graph::IndexVar> reduced, Reduction reduction,
                     ExprRef body, std::vector<graph::Value*> operands, TensorType type, graph::Loc loc);
  graph::Value* scatter(TensorType type, std::vector<graph::IndexVar> dims, std::vector<ExprRef> at, ExprRef body,
                        std::vector<graph::Value*> operands, graph::Loc loc);
  /// Elementwise a + b, of equal types.
  graph::Value* sum(graph::Value* a, graph::Value* b, graph::Loc loc);
  /// A tensor of this type with every element equal to value.
  graph::Value* fill(TensorType type, double value, graph::Loc loc);

  graph::Function& function;
  Builder builder;
  std::vector<graph::Op*> made; ///< in order
};

struct Contribution {
  graph::Value* to = nullptr; ///< an operand of the op
  graph::Value* value = nullptr;
};

/// What op, a Comp or Scatter whose result has the adjoint dy, contributes to the adjoints of its varied operands. The
/// error has no place: the caller knows the op.
Result<std::vector<Contribution>> adjointOf(Emitter& emitter, const graph::Op& op, graph::Value* dy,
                                            const std::function<bool(const graph::Value*)>& varied, bool strict);

/// Distinct names for the index variables of an op, made from the hints.
void makeNamesDistinct(std::vector<graph::IndexVar>& dims, std::vector<graph::IndexVar>& reduced);
/// One index variable for each dimension of a type.
std::vector<graph::IndexVar> elementIndices(const TensorType& type);

} // namespace dnn::autodiff
