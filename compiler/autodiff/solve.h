// Inverting subscripts: which points of an op's domain read (or write) one given element of a tensor?
//
//   x[2*h + u - 1] read over h:14, u:3, element i:  h = (i + 1)/2 - u1, u = 2*u1 + (i + 1)%2, u1:2 free
//
// The equations subscript(point) = element are solved for the indices of the point, so that the adjoint can gather
// instead of scatter. An index that no equation determines stays free: the adjoint sums over it.
//
//  1. Floor quotients and remainders by constants become indices of their own: p = s·q + t.
//  2. Equations with one index of factor ±1 are solved; then those with one index of another factor, where the
//     remainder must be 0; then those with several, for the index that spares most points. If its factor is s, |s| > 1, the
//     others are split by their residue modulo s, so that no point is visited in vain (polyphase). Where elements of
//     some residues have no points, or fewer, `phase` says so, and the caller solves for each residue by itself.
//  3. Equations without an index left become guards (diagonals, subscripts that are elements of integer tensors). One that
//     fixes an index of the element is a `slice`, too.
//  4. If an element of a tensor subscripts and its own subscripts are not determined by the other equations, there is
//     no gather form that does not search: `scatter` is set, and the caller adds up in scatter form.
#pragma once

#include "compiler/algebra/builder.h"
#include "compiler/graph/affine.h"

#include <optional>
#include <string>
#include <vector>

namespace dnn::autodiff {

using algebra::Builder;
using graph::ExprPool;
using graph::ExprRef;

/// Numbering of index variables in the solution: the element's indices first, then the free ones.
struct Inverse {
  bool scatter = false;
  /// For each index of the op's domain, its value.
  std::vector<ExprRef> point;
  /// The free indices, extents and names.
  std::vector<graph::IndexVar> free;
  /// All must hold for the point to exist.
  std::vector<ExprRef> guards;
  /// The guards that say that one index of the domain is inside its range: guards[g] ⇔ 0 ≤ point[of] < extent.
  struct RangeGuard {
    size_t guard = 0;
    ExprRef value = nullptr;
    Dim extent;
  };
  std::vector<RangeGuard> rangeGuards;
  /// No point reads the element: a guard is false.
  bool empty = false;
  /// Which points there are depends on the residue of element index `dim` modulo `modulus`: solving once for each
  /// residue visits no point in vain.
  struct Phase {
    uint32_t dim = 0;
    int64_t modulus = 1;
  };
  std::optional<Phase> phase;
  /// Every residue has as many points; solving once for each gives subscripts without quotients and remainders.
  std::optional<Phase> evenPhase;
  /// Only elements with index `dim` equal to `at` have points.
  struct Slice {
    uint32_t dim = 0;
    int64_t at = 0;
  };
  std::optional<Slice> slice;
};

struct InverseProblem {
  graph::IndexDomain domain;         ///< of the op: extents, operand types, symbols
  std::vector<graph::IndexVar> vars; ///< of the op: for names
  std::vector<ExprRef> subscripts;   ///< over the op's domain
  std::vector<Dim> elementExtents;   ///< ranges of the element's indices
  std::vector<ExprRef> element;      ///< the element subscripted, over the element's indices (Index 0, 1, …)
};

Inverse solveSubscripts(const Builder& b, const InverseProblem& problem);

} // namespace dnn::autodiff
