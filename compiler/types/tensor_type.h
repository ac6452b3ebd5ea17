// The type of a tensor: element type, extents (row-major, last index fastest), and for integers an optional bound.
#pragma once

#include "compiler/types/dim.h"
#include "compiler/types/dtype.h"

#include <optional>
#include <string>
#include <vector>

namespace dnn {

struct TensorType {
  DType dtype = DType::F32;
  std::vector<Dim> dims;
  /// Integer tensors only: every value v satisfies 0 ≤ v < *bound, so it may subscript a dimension of that extent.
  std::optional<Dim> bound;

  size_t rank() const { return dims.size(); }
  bool isScalar() const { return dims.empty(); }
  bool operator==(const TensorType&) const = default;
  /// "f32[N, 10]", "i32[N] < 10"; a scalar is "f32".
  std::string str(std::span<const Symbol> symbols) const;
};

/// Of a gradient with respect to a tensor of this type: f32 where the elements are floats of 16 bits.
inline TensorType gradientType(TensorType type) {
  type.dtype = computedAs(type.dtype);
  return type;
}

} // namespace dnn
