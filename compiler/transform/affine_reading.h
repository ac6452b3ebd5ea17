// What an op makes of the elements of another one, where that is a factor and a shift made of parameters and states.
#pragma once

#include "compiler/algebra/builder.h"
#include "compiler/graph/graph.h"

#include <optional>
#include <unordered_set>
#include <vector>

namespace dnn::transform {

/// Values that do not depend on inputs or draws: parameters, states, and what is computed from them alone.
class Constants {
public:
  explicit Constants(const graph::Function& function);

  bool contains(const graph::Value* v) const { return values_.contains(v); }
  void insert(const graph::Value* v) { values_.insert(v); }
  /// The expression of this op reads such values only, and draws nothing.
  bool cover(graph::ExprRef e, const graph::Op& op) const;

private:
  std::unordered_set<const graph::Value*> values_;
};

/// scale·y + shift; nullptr: no factor, nothing added.
struct Affine {
  graph::ExprRef scale = nullptr;
  graph::ExprRef shift = nullptr;
};

/// What a reader makes of an element, and at which of its own indices the element stands.
struct Reading {
  graph::ExprRef element = nullptr; ///< the access
  graph::ExprRef whole = nullptr;   ///< the largest affine expression of it
  Affine affine;
};

/// none: y is read at several places, or not element by element, or not in one affine expression alone.
std::optional<Reading> readAffinely(const algebra::Builder& b, const Constants& constants, const graph::Op& reader,
                                    const graph::Value& y);

/// Every subscript is an index variable, none twice.
bool distinctIndices(const std::vector<graph::ExprRef>& subscripts);

} // namespace dnn::transform
