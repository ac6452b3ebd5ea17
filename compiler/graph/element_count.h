// The number of elements of a tensor with symbolic extents: a polynomial over the symbols.
#pragma once

#include "compiler/types/dim.h"

#include <map>
#include <optional>
#include <span>
#include <vector>

namespace dnn::graph {

/// Coefficients by monomial, which is the sorted list of its symbols: 2·N·N + N is {{0,0}: 2, {0}: 1}.
using Polynomial = std::map<std::vector<SymbolId>, int64_t>;

/// The product of the extents; none if a coefficient leaves 62 bits or the polynomial has more than 1000 terms.
std::optional<Polynomial> elementCount(std::span<const Dim> dims);
/// The same where it is a linear form: at most one extent has symbols.
std::optional<Dim> linearElementCount(std::span<const Dim> dims);
/// The largest number of elements over all values of the symbols; none if it is not below 2^62.
std::optional<int64_t> maxElementCount(std::span<const Dim> dims, std::span<const Symbol> symbols);

} // namespace dnn::graph
