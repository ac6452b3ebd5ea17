// Walks over expressions. An expression is a DAG printed as a tree: both walks visit each distinct node once, whatever
// its number of parents, and need no stack in proportion to its depth.
#pragma once

#include "compiler/graph/expr.h"

#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace dnn::graph {

template <class F> void forEachNode(ExprRef root, F&& visit) {
  std::unordered_set<ExprRef> seen = {root};
  std::vector<std::pair<ExprRef, size_t>> stack = {{root, 0}}; // a node and how many of its arguments are done
  while (!stack.empty()) {
    auto& [node, done] = stack.back();
    if (done == node->args.size()) {
      ExprRef finished = node;
      stack.pop_back();
      visit(finished);
    } else if (ExprRef arg = node->args[done++]; seen.insert(arg).second) {
      stack.push_back({arg, 0});
    }
  }
}

/// `replace` is called as replace(ExprRef e, const std::vector<ExprRef>& newArgs), arguments first.
template <class F> ExprRef rewrite(ExprPool& pool, ExprRef root, F&& replace) {
  std::unordered_map<ExprRef, ExprRef> made;
  std::vector<ExprRef> newArgs;
  forEachNode(root, [&](ExprRef node) {
    newArgs.clear();
    for (ExprRef arg : node->args) {
      newArgs.push_back(made.at(arg));
    }
    ExprRef result = replace(node, std::as_const(newArgs));
    if (result == nullptr) {
      if (newArgs == node->args) {
        result = node;
      } else {
        Expr copy = *node;
        copy.args = newArgs;
        result = pool.intern(std::move(copy));
      }
    }
    made[node] = result;
  });
  return made.at(root);
}

} // namespace dnn::graph
