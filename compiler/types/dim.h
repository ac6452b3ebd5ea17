// Extents: linear expressions c + Σ k·s over a function's symbols (the batch N, the lengths of sequences).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace dnn {

/// Index of a symbol in its function's symbol table.
using SymbolId = uint32_t;

/// A symbolic extent and the range of values it takes at run time: 1 ≤ value ≤ max.
struct Symbol {
  std::string name;
  int64_t max = 1;
};

/// A linear form c + Σ k_s·s. Canonical: no zero coefficient is stored, so equality of forms is equality of values
/// for all values of the symbols.
class Dim {
public:
  Dim() = default;
  Dim(int64_t constant) : constant_(constant) {}
  static Dim symbol(SymbolId s, int64_t coefficient = 1);

  int64_t constant() const { return constant_; }
  const std::map<SymbolId, int64_t>& terms() const { return terms_; }
  bool isStatic() const { return terms_.empty(); }
  bool dependsOn(SymbolId s) const { return terms_.contains(s); }

  Dim operator+(const Dim& other) const;
  Dim operator-(const Dim& other) const;
  Dim operator*(int64_t factor) const;
  bool operator==(const Dim&) const = default;

  /// The form with `to` in place of the symbol `from`.
  Dim renamed(SymbolId from, SymbolId to) const;

  /// The value with symbol s taken as values[s].
  int64_t evaluate(std::span<const int64_t> values) const;
  /// Smallest and largest value over all values 1..max of the symbols.
  int64_t min(std::span<const Symbol> symbols) const;
  int64_t max(std::span<const Symbol> symbols) const;
  /// "10", "N", "2*N + 1".
  std::string str(std::span<const Symbol> symbols) const;

private:
  int64_t constant_ = 0;
  std::map<SymbolId, int64_t> terms_;
};

} // namespace dnn
