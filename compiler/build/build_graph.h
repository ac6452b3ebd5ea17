// The instantiated program as a graph. Total: sema reported every mistake before the program existed.
#pragma once

#include "compiler/diag/source.h"
#include "compiler/graph/graph.h"
#include "compiler/sema/program.h"

#include <memory>

namespace dnn::build {

/// One graph function for each entry of the program, in the same order, then two for each custom derivative: `f` and
/// its rule `f.vjp`. What changes on the way:
///  - a reduction inside an expression becomes a comp of its own, over just the indices that it depends on;
///  - `sum[k | guard] e` becomes `add [k] { select(guard, e, 0) }`; likewise the identity of every other reduction;
///  - `mean` becomes a sum and a multiplication by 1 / count (a guarded one: a division by the number of points kept);
///  - what the body of a scan reads from outside at a linear form of the step's number becomes a slice;
///  - the coordinates of a draw become its two counter words: `lo` counts row-major over the static indices of the let
///    and steps of the scans around it,
///    `hi` over the symbolic ones.
/// `sources` gives lines and columns to the locations of operations.
std::unique_ptr<graph::Module> buildGraph(const sema::Program& program, const diag::Sources& sources);

} // namespace dnn::build
