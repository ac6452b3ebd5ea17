// A scan whose steps do not depend on each other, as ops that compute all steps at once.
//
//   %g = scan [i:I] counter(%c) {                              %d = comp [i:I, n:N] : f32 { … %y[n] … }
//     %d = comp [n:N] : f32 { … %y[n], %c[] … }        →
//     emit %d                                                  (%d instead of %g)
//   }
//
// What a step computes gets the step as a dimension in front; what depends on no step stays as it is. Where a value is
// 0 but for elements whose index at one dimension is the step's number – as adjoints of y[i] are, as long as elements
// do not mix –
//
//   %d[n] = select(eq(n, %c[]), %e[n], 0)
//
// the values of all steps lie beside each other in one tensor, %e, of the size of one step: it is what later ops of
// this kind read, and a sum over n is the term at n = i. So gradients of each example by itself cost what the gradient
// of their sum costs.
#pragma once

#include "compiler/graph/graph.h"

#include <optional>
#include <unordered_set>
#include <vector>

namespace dnn::autodiff {

/// The ops, to stand in the scan's place; its results have been replaced. None, and nothing is changed, where the steps
/// depend on each other, something in the body cannot be spread, or a value of all steps would be larger than a loop is
/// slow. `derived`: grows by what is made of its ops.
std::optional<std::vector<graph::Op*>> spreadScan(graph::Function& function, graph::Op& scan,
                                                  std::unordered_set<const graph::Op*>& derived);

} // namespace dnn::autodiff
