// Which ops belong into one kernel: structure only, no names. docs/kernels.md says why.
#pragma once

#include "compiler/graph/graph.h"

#include <span>

namespace dnn::transform {

/// A kernel has at most this many ops: Halide's compile time grows faster than linearly with them.
inline constexpr size_t maxOpsInGroup = 10;

/// Comp, scatter, concat: what computes, and so belongs into a group.
bool isFusible(const graph::Op& op);

/// Every op but the anchor is elementwise over exactly the result of the anchor, a contraction: what can be its
/// prologue or epilogue.
bool fitsContraction(const graph::Op& anchor, std::span<graph::Op* const> others);

/// The consumer reads v row by row, in the order of the rows it works on itself:
///
///   y[n, k] = f(x[n, k], m[n])     z[n] = Σk e[n, k]     l = Σn v[n]     y[k] = v[k]
bool readsInRowOrder(const graph::Op& consumer, const graph::Value* v);

/// The consumer sums v over the dims between rows and columns: s[n, c] = Σij f(v[n, i, j, c], …).
bool sumsBlocks(const graph::Op& consumer, const graph::Value* v);
/// The op is over the result of such a sum, sums over the same blocks, or is elementwise over all of their places.
bool fitsBlocks(const graph::Op& sum, const graph::Op& op);

} // namespace dnn::transform
