// Names and orders of a stage's loops, for the files that define stages.
#pragma once

#include "compiler/codegen/halide/pipeline.h"

#include <algorithm>
#include <string>
#include <vector>

namespace dnn::codegen {

inline std::string dimLoop(size_t position) { return "i" + std::to_string(position); }
inline std::string reducedLoop(size_t position) { return "r" + std::to_string(position); }

inline std::vector<Halide::Var> dimVars(size_t rank) {
  std::vector<Halide::Var> vars;
  for (size_t d = 0; d < rank; ++d) {
    vars.emplace_back(dimLoop(d));
  }
  return vars;
}

inline std::vector<Halide::Expr> asExprs(const std::vector<Halide::Var>& vars) { return {vars.begin(), vars.end()}; }

/// Halide's order of dimensions: innermost first.
template <class T> std::vector<T> innermostFirst(std::vector<T> rowMajor) {
  std::ranges::reverse(rowMajor);
  return rowMajor;
}

inline LoopNames dimLoops(const std::vector<Halide::Var>& vars) {
  LoopNames loops;
  for (const Halide::Var& v : vars) {
    loops.emplace(v.name(), v);
  }
  return loops;
}

/// A term of a reduction over the domain. Halide runs an update once, not over its domain, when the update does not
/// mention the domain at all (a sum of a constant, or of what an inlined op makes of none of the reduced indices); a
/// condition that always holds mentions it. It also hides a difference: sum + (a - b) would become (sum + a) - b, of
/// which Halide does not see that the order of the terms is free.
inline Halide::Expr mentioning(const Halide::RDom& domain, const Halide::Expr& value) {
  bool mentions = false;
  for (int i = 0; i < domain.dimensions() && value.as<Halide::Internal::Sub>() == nullptr; ++i) {
    mentions |= Halide::Internal::expr_uses_var(value, domain[i].name());
  }
  return mentions ? value : Halide::select(domain[0] >= 0, value, Halide::cast(value.type(), 0));
}

} // namespace dnn::codegen
