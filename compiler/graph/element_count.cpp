#include "compiler/graph/element_count.h"

#include <algorithm>

namespace dnn::graph {

namespace {
constexpr __int128 limit = static_cast<__int128>(1) << 62;
constexpr size_t maxTerms = 1000;
} // namespace

std::optional<Polynomial> elementCount(std::span<const Dim> dims) {
  Polynomial product = {{{}, 1}};
  for (const Dim& dim : dims) {
    std::map<std::vector<SymbolId>, __int128> next;
    for (const auto& [monomial, coefficient] : product) {
      if (dim.constant() != 0) {
        next[monomial] += static_cast<__int128>(coefficient) * dim.constant();
      }
      for (auto [symbol, factor] : dim.terms()) {
        std::vector<SymbolId> larger = monomial;
        larger.insert(std::ranges::upper_bound(larger, symbol), symbol);
        next[larger] += static_cast<__int128>(coefficient) * factor;
      }
    }
    product.clear();
    for (const auto& [monomial, coefficient] : next) {
      if (coefficient >= limit || coefficient <= -limit || product.size() >= maxTerms) {
        return std::nullopt;
      }
      if (coefficient != 0) {
        product[monomial] = static_cast<int64_t>(coefficient);
      }
    }
  }
  return product;
}

std::optional<int64_t> maxElementCount(std::span<const Dim> dims, std::span<const Symbol> symbols) {
  __int128 product = 1;
  bool empty = false;
  for (const Dim& dim : dims) {
    int64_t extent = dim.max(symbols);
    empty |= extent <= 0;
    product *= std::max<int64_t>(extent, 1);
    if (product >= limit) {
      return std::nullopt;
    }
  }
  return empty ? 0 : static_cast<int64_t>(product);
}

std::optional<Dim> linearElementCount(std::span<const Dim> dims) {
  constexpr int64_t most = INT32_MAX;
  Dim form(1);
  int64_t factor = 1;
  for (const Dim& dim : dims) {
    if (!dim.isStatic() && !form.isStatic()) {
      return std::nullopt;
    }
    if (!dim.isStatic()) {
      form = dim;
    } else if (dim.constant() < 1 || dim.constant() > most / factor) {
      return std::nullopt;
    } else {
      factor *= dim.constant();
    }
  }
  return form * factor;
}

} // namespace dnn::graph
