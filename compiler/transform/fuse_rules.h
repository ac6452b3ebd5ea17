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

/// What is worth computing again where it is copied: a few operations on one tensor at its own point, and on what is
/// small beside it. That tensor; nullptr if the op is something else.
const graph::Value* prologueSource(const graph::Op& op, std::span<const Symbol> symbols);

/// The op is a sum over windows of products with an element of v, with a fill value where there is none: its kernel
/// copies v block by block before it sums.
bool copiesWithBorder(const graph::Op& op, const graph::Value* v, std::span<const Symbol> symbols);

/// The consumer reads v row by row, in the order of the rows it works on itself:
///
///   y[n, k] = f(x[n, k], m[n])     z[n] = Σk e[n, k]     l = Σn v[n]     y[k] = v[k]
bool readsInRowOrder(const graph::Op& consumer, const graph::Value* v);

/// The consumers are reductions over the same small windows of v, side by side: made from the tiles of a sum that makes
/// v.
bool reduceWindows(std::span<graph::Op* const> consumers, const graph::Value* v);

/// The consumer sums v over the dims between rows and columns: s[n, c] = Σij f(v[n, i, j, c], …).
bool sumsBlocks(const graph::Op& consumer, const graph::Value* v);
/// The op is over the result of such a sum, sums over the same blocks, or is elementwise over all of their places.
bool fitsBlocks(const graph::Op& sum, const graph::Op& op);

} // namespace dnn::transform
