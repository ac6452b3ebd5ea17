// Scalar simplification of a whole expression in the setting of its op.
//
// Subscripts and conditions are normalised with the ranges of the index variables; float arithmetic is brought to sums
// of products in which terms cancel, and written back if that is cheaper (cost.h). What is not cheaper stays as the
// user wrote it.
#pragma once

#include "compiler/algebra/builder.h"
#include "compiler/graph/affine.h"

#include <unordered_map>

namespace dnn::algebra {

class Simplifier {
public:
  /// The domain of the op that the expressions belong to. beforeGradient: a gradient may still be asked for, so
  /// stop_grad stays, and so does what is rewritten with a function that has a kink (log of a logistic function).
  Simplifier(const Builder& b, graph::IndexDomain domain, bool beforeGradient)
      : b_(b), ranges_(domain), domain_(std::move(domain)), beforeGradient_(beforeGradient) {}

  ExprRef run(ExprRef e);

private:
  ExprRef runNew(ExprRef e);
  ExprRef runAccess(ExprRef e);
  ExprRef withoutZeros(ExprRef subscript);
  ExprRef runDiscrete(ExprRef e, const std::vector<ExprRef>& args);
  ExprRef runRational(ExprRef e);
  ExprRef bestForm(ExprRef e, ExprRef plain);
  ExprRef underCondition(ExprRef condition, ExprRef e);
  bool mayStandFor(ExprRef index, ExprRef read);
  ExprRef rebuildRational(ExprRef e);
  std::vector<ExprRef> runAll(const std::vector<ExprRef>& args);

  const Builder& b_;
  graph::RangeAnalysis ranges_;
  graph::IndexDomain domain_;
  bool beforeGradient_;
  std::unordered_map<ExprRef, ExprRef> known_;
};

} // namespace dnn::algebra
