#include "compiler/types/dim.h"

namespace dnn {

Dim Dim::symbol(SymbolId s, int64_t coefficient) {
  Dim d;
  if (coefficient != 0) {
    d.terms_[s] = coefficient;
  }
  return d;
}

Dim Dim::operator+(const Dim& other) const {
  Dim d = *this;
  d.constant_ += other.constant_;
  for (auto [s, k] : other.terms_) {
    if ((d.terms_[s] += k) == 0) {
      d.terms_.erase(s);
    }
  }
  return d;
}

Dim Dim::operator-(const Dim& other) const { return *this + other * -1; }

Dim Dim::operator*(int64_t factor) const {
  Dim d;
  d.constant_ = constant_ * factor;
  if (factor != 0) {
    for (auto [s, k] : terms_) {
      d.terms_[s] = k * factor;
    }
  }
  return d;
}

Dim Dim::renamed(SymbolId from, SymbolId to) const {
  Dim d = constant_;
  for (auto [s, k] : terms_) {
    d = d + symbol(s == from ? to : s, k);
  }
  return d;
}

int64_t Dim::evaluate(std::span<const int64_t> values) const {
  int64_t v = constant_;
  for (auto [s, k] : terms_) {
    v += k * values[s];
  }
  return v;
}

int64_t Dim::min(std::span<const Symbol> symbols) const {
  int64_t v = constant_;
  for (auto [s, k] : terms_) {
    v += k > 0 ? k : k * symbols[s].max;
  }
  return v;
}

int64_t Dim::max(std::span<const Symbol> symbols) const {
  int64_t v = constant_;
  for (auto [s, k] : terms_) {
    v += k > 0 ? k * symbols[s].max : k;
  }
  return v;
}

std::string Dim::str(std::span<const Symbol> symbols) const {
  std::string text;
  for (auto [s, k] : terms_) {
    if (!text.empty()) {
      text += k < 0 ? " - " : " + ";
    } else if (k < 0) {
      text += "-";
    }
    int64_t magnitude = k < 0 ? -k : k;
    if (magnitude != 1) {
      text += std::to_string(magnitude) + "*";
    }
    text += symbols[s].name;
  }
  if (text.empty()) {
    return std::to_string(constant_);
  }
  if (constant_ != 0) {
    text += constant_ < 0 ? " - " : " + ";
    text += std::to_string(constant_ < 0 ? -constant_ : constant_);
  }
  return text;
}

} // namespace dnn
