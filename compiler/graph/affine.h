// Analysis of integer expressions: linear forms, value ranges, and the proof that a subscript stays inside its
// dimension.
//
//   2*i + u - 1     form: -1 + 2·i + 1·u           range over i:14, u:3:  [-1, 27]
//   (n + 2*N) / 2   form: 1·((n + 2*N) / 2)        range over n:N:        [N, 2*N - 1] by numbers only
//   10*(j/10)+j%10  form: 1·j
//
// Everything is exact integer arithmetic with explicit limits: a factor that grows out of 32 bits makes the analysis
// say "unknown", never a wrong bound.
#pragma once

#include "compiler/graph/graph.h"

#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace dnn::graph {

/// |c| + Σ |k|·max fits an i32 and all symbols are known: an extent, and a form that is evaluated without overflow.
bool isPossibleExtent(const Dim& dim, std::span<const Symbol> symbols);

/// factor · atom. Atoms are what a linear form cannot look into: Index, Div and Mod by a positive constant (whose
/// argument has a form of its own), and anything else, such as an element of an integer tensor.
struct LinearTerm {
  ExprRef atom = nullptr;
  int64_t factor = 0;
  bool operator==(const LinearTerm&) const = default;
};

/// constant + Σ factor·atom; atoms are distinct, factors are not 0, in order of first appearance.
struct LinearForm {
  Dim constant;
  std::vector<LinearTerm> terms;

  /// All atoms are index variables.
  bool isAffine() const;
  /// Neither atoms nor anything else but constants and extents.
  bool isUniform() const { return terms.empty(); }
  /// The factor of the index variable at this position of the domain; 0 if it does not occur outside other atoms.
  int64_t factorOf(uint32_t index) const;
  bool operator==(const LinearForm&) const = default;
};

/// Div or Mod by a constant > 0; its argument is e->args[0].
bool isDivByConstant(ExprRef e);
bool isModByConstant(ExprRef e);
/// The divisor of such an expression.
int64_t divisorOf(ExprRef e);

/// The linear form of an integer expression; none if a factor leaves 32 bits. c·(x/c) + x%c is recognised as x.
std::optional<LinearForm> linearForm(ExprRef e);
/// The sum as an expression, terms in order, the constant last, without factors 1 and terms 0; all atoms are I32.
ExprRef toExpr(ExprPool& pool, const LinearForm& form);
/// True if the index variable occurs anywhere in e, also inside subscripts.
bool dependsOnIndex(ExprRef e, uint32_t index);

/// Bounds of a value, both inclusive. lower and upper are linear over the symbols; min and max are numbers, which are
/// sometimes tighter: both pairs hold.
struct Range {
  Dim lower;
  Dim upper;
  int64_t min = 0;
  int64_t max = 0;
};

/// What the value of an expression depends on: the extents of the indices, the operands' types, the symbols.
struct IndexDomain {
  std::vector<Dim> extents;
  std::vector<TensorType> operands;
  std::vector<Symbol> symbols;
};
IndexDomain domainOf(const Op& op, std::span<const Symbol> symbols);

/// Ranges of the expressions over one domain, remembered.
class RangeAnalysis {
public:
  explicit RangeAnalysis(IndexDomain domain) : domain_(std::move(domain)) {}
  RangeAnalysis(const Op& op, std::span<const Symbol> symbols) : domain_(domainOf(op, symbols)) {}

  /// Of an integer or bool expression. An expression that may overflow its type has the range of the type.
  Range of(ExprRef e);
  /// 0 ≤ e < extent for all points of the domain and all values of the symbols.
  bool alwaysInRange(ExprRef e, const Dim& extent);
  /// One side of that alone.
  bool neverNegative(ExprRef e);
  bool alwaysBelow(ExprRef e, const Dim& extent);

private:
  Range ofAtom(ExprRef e);
  Range ofApply(ExprRef e);
  Range ofDiv(const Range& value, int64_t divisor) const;
  Range join(const Range& a, const Range& b) const;
  /// The range with numbers and linear bounds made consistent, or that of the type if it leaves the type.
  Range fitted(Range range, DType dtype) const;
  bool provablyLessEqual(const Dim& a, const Dim& b) const;

  IndexDomain domain_;
  std::unordered_map<ExprRef, Range> known_;
};

/// The range of e in op; for several expressions of one op, make a RangeAnalysis.
Range rangeOf(ExprRef e, const Op& op, std::span<const Symbol> symbols);

} // namespace dnn::graph
