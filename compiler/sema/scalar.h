// Making and rewriting the scalar expressions of the program.
#pragma once

#include "compiler/sema/function_builder.h"
#include "compiler/sema/program.h"

#include <map>
#include <set>
#include <vector>

namespace dnn::sema {

template <class Node> ScalarPtr makeScalar(DType dtype, diag::SourceRange range, Node node) {
  return std::make_shared<const Scalar>(Scalar{dtype, range, std::move(node)});
}

ScalarPtr makeNumber(double value, DType dtype, diag::SourceRange range);
ScalarPtr makeInteger(int64_t value, DType dtype, diag::SourceRange range);
ScalarPtr makeBool(bool value, diag::SourceRange range);
ScalarPtr makeIndex(IndexId index, diag::SourceRange range);
ScalarPtr makeExtent(Dim extent, diag::SourceRange range);
ScalarPtr makeCast(DType to, ScalarPtr value, diag::SourceRange range);
/// The arguments fit the operator's row in scalar_ops.def.
ScalarPtr makeApply(ScalarOp op, std::vector<ScalarPtr> args, diag::SourceRange range);

/// Visits the nodes directly below.
template <class F> void forEachChild(const Scalar& s, F&& visit) {
  if (auto* access = std::get_if<Access>(&s.node)) {
    for (const ScalarPtr& sub : access->subscripts) {
      visit(sub);
    }
  } else if (auto* apply = std::get_if<Apply>(&s.node)) {
    for (const ScalarPtr& arg : apply->args) {
      visit(arg);
    }
  } else if (auto* cast = std::get_if<Cast>(&s.node)) {
    visit(cast->value);
  } else if (auto* reduce = std::get_if<Reduce>(&s.node)) {
    if (reduce->guard) {
      visit(reduce->guard);
    }
    visit(reduce->body);
  }
}

/// The indices that the expression uses and does not bind, in ascending order.
std::set<IndexId> freeIndices(const ScalarPtr& root);

/// How many nodes the expression has as a tree, as it is printed and compiled; at most `limit`.
int64_t treeSize(const ScalarPtr& root, int64_t limit);

/// The expression with indices replaced. Reductions that change get new indices, so nothing is captured. Subtrees that
/// do not change stay the same pointer.
ScalarPtr substitute(FunctionBuilder& function, const ScalarPtr& root, const std::map<IndexId, ScalarPtr>& replace);

/// The expression with the number of a step, where draws count it, replaced by these.
ScalarPtr withDrawSteps(FunctionBuilder& function, const ScalarPtr& root, VarId step, const std::vector<VarId>& steps);

/// Do all literals of the expression, and of what is computed from them, make sense in this type?
bool literalsFit(const ScalarPtr& root, DType to);
/// An expression made of literals, as one of this float or integer type.
ScalarPtr convertLiterals(const ScalarPtr& root, DType to);

} // namespace dnn::sema
