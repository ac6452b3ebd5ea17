// Sums of products: the normal form in which terms meet and cancel.
//
//   -(r / y)·(y·(1 - y)) + …     →     -1 · r · y⁻¹ · y · (1 - y)     →     -r + r·y + …
//
// A term is a number times integer powers of bases times guards: [c] stands for `c ? 1 : 0`, so select(c, a, b) is
// [c]·a + [not c]·b. A base is anything that is not rational arithmetic itself: a read, exp(…), … A sum in a product or
// in a denominator is a base too, until it is multiplied out.
//
// The rewritings are those of real arithmetic. None makes a finite value infinite or NaN, but sums may be rounded in
// another order; so they are only taken where they make the expression cheaper (see simplify.h).
#pragma once

#include "compiler/algebra/builder.h"

#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

namespace dnn::algebra {

struct Power {
  ExprRef base = nullptr;
  int exponent = 1; // never 0
  bool operator==(const Power&) const = default;
};

struct Term {
  double factor = 1;
  std::vector<Power> powers;   // sorted by first appearance of the bases
  std::vector<ExprRef> guards; // sorted likewise; all must hold
  bool sameProduct(const Term& other) const { return powers == other.powers && guards == other.guards; }
};

using Sum = std::vector<Term>; // no two terms of the same product

/// Float operators that sums look into.
bool isRational(ExprRef e);

class SumAlgebra {
public:
  /// `atom` gives the final form of what sums do not look into: bases and conditions. mayStandFor(index, read): whether
  /// the index may take the read's place where both are equal; never without it.
  SumAlgebra(const Builder& b, std::function<ExprRef(ExprRef)> atom,
             std::function<bool(ExprRef, ExprRef)> mayStandFor = nullptr)
      : b_(b), atom_(std::move(atom)), mayStandFor_(std::move(mayStandFor)) {}

  /// none: the expression has too many terms.
  std::optional<Sum> read(ExprRef e);

  /// Multiplies sums out: those with a quotient or a guard in a term, or all. none: too many terms.
  std::optional<Sum> multiplyOut(const Sum& sum, bool all);
  /// a / (k·a + c)  =  (1 - c / (k·a + c)) / k
  std::optional<Sum> splitFractions(const Sum& sum);
  /// 1 / (1 + exp(u))  =  1 - 1 / (1 + exp(-u)), unless u is -v already.
  std::optional<Sum> reflectLogistics(const Sum& sum);

  /// How many terms have met an equal one, and how many powers have cancelled, so far. Multiplying out is only worth
  /// anything if this grows: else it gives up accuracy for nothing (r·log y + (1 - r)·log(1 - y) for y near 1).
  int cancellations() const { return cancellations_; }

  /// Each term replaced by what `rewrite` makes of it (none = unchanged), brought to normal form again.
  Sum rewriteTerms(const Sum& sum, const std::function<std::optional<Term>(const Term&)>& rewrite);

  /// As an expression, common factors taken out.
  ExprRef emit(const Sum& sum, DType dtype);
  /// The powers (towards 0) and guards that all terms have, with the factor 1; and the sum without them. The powers may
  /// stand outside of the sum only behind these guards.
  Term commonFactor(const Sum& sum) const;
  Sum dividedBy(const Sum& sum, const Term& factor) const;

private:
  std::optional<Sum> readNew(ExprRef e);
  std::optional<Sum> readSelect(ExprRef e);
  std::optional<Sum> readAtom(ExprRef e);
  std::optional<Sum> product(const Sum& a, const Sum& b);
  std::optional<Sum> times(const Sum& a, const Sum& b);
  std::optional<Sum> inverse(const Sum& sum);
  Term asFactor(const Sum& sum, DType dtype);
  std::optional<Term> productOfTerms(const Term& a, const Term& b);
  std::optional<Term> normalize(Term term);
  void joinRoots(Term& term);
  Sum guarded(ExprRef condition, const Sum& sum);
  bool cancelsInside(ExprRef base, const Term& term) const;
  void addTerm(Sum& sum, Term term);
  Sum collect(const Sum& sum);
  size_t orderOf(ExprRef e);
  bool alwaysCounts(const Sum& sum, const std::vector<ExprRef>& given) const;
  bool contradict(ExprRef a, ExprRef b) const;
  DType dtypeOf(const Sum& sum) const;

  ExprRef emitTerm(const Term& term, DType dtype);
  ExprRef emitProduct(const Term& term, DType dtype);
  ExprRef emitGuarded(const Sum& sum, DType dtype);
  ExprRef emitPlain(const Sum& sum, DType dtype);
  ExprRef emitGrouped(const Sum& sum, DType dtype);
  ExprRef addUp(const std::vector<std::pair<ExprRef, bool>>& parts, DType dtype) const;

  const Builder& b_;
  std::function<ExprRef(ExprRef)> atom_;
  std::function<bool(ExprRef, ExprRef)> mayStandFor_;
  DType dtype_ = DType::F32;
  int cancellations_ = 0;
  std::unordered_map<ExprRef, size_t> order_;
  std::unordered_map<ExprRef, Sum> sums_; // what the bases that are sums stand for
  std::unordered_map<ExprRef, std::optional<Sum>> known_;
};

} // namespace dnn::algebra
