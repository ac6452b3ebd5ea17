#pragma once

#include "compiler/graph/graph.h"

#include <vector>

namespace dnn::transform {

/// In a group that runs row by row (schedule/row_form.h): what two ops both compute at each element of a row, and costs
/// like an exponential, becomes an op of its own. A row's values stay in the cache, so reading them is cheaper.
///
///   %z = comp [b:N] add [k:K] { exp(sub(%x[b, k], %m[b])) }          %e = comp [b:N, k:K] { exp(sub(%x[b, k], %m[b]))
///   } %p = comp [b:N, k:K] { div(exp(sub(%x[b, k], %m[b])), %z[b]) } → %z = comp [b:N] add [k:K] { %e[b, k] }
///                                                                    %p = comp [b:N, k:K] { div(%e[b, k], %z[b]) }
///
/// Returns the members in order, with the new ops before their first reader.
std::vector<graph::Op*> shareParts(graph::Function& function, std::vector<graph::Op*> members);

} // namespace dnn::transform
