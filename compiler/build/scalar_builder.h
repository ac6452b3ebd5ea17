// The right side of a let → one comp, and further ones for the reductions inside it.
#pragma once

#include "compiler/build/block_builder.h"
#include "compiler/build/function_builder.h"

namespace dnn::build {

/// A reduction that has become a comp: its element at the values of `indices` is the reduction's value there.
struct BuiltReduction {
  graph::Value* value = nullptr;
  std::vector<sema::IndexId> indices;
};
/// Instantiation shares subtrees, so a reduction may occur many times in a function; it is built once.
struct ReductionMemo {
  std::unordered_map<const sema::Scalar*, BuiltReduction> built;
  /// By guarded mean: the reduction that counts the points which the guard keeps.
  std::unordered_map<const sema::Scalar*, sema::ScalarPtr> keptCounts;
};

struct LetContext {
  const sema::Function& from;
  graph::Function& to;
  BlockBuilder& blocks;
  const std::vector<graph::Value*>& values; // by VarId
  Locations& locations;
  ReductionMemo& reductions;
};

/// Appends what computes the let; returns its value, of the type that the var has.
graph::Value* buildLet(LetContext context, const sema::Let& let, graph::Loc loc);

} // namespace dnn::build
