// Sizes of tensors, with the overflow checks that headers of files need.
#pragma once

#include "runtime/plan/plan.h"

#include <cstdint>
#include <vector>

namespace dnn::runtime {

/// Product of the dimensions, or false if one is negative or the product exceeds 2^62.
bool elementCount(const std::vector<int64_t>& dims, uint64_t& count);

/// Bytes of a tensor of the plan, whose dimensions are known to be sound.
uint64_t byteCount(plan::DType dtype, const std::vector<int64_t>& dims);

/// The extents of a port's row in a call with so many rows and, by number, these lengths.
std::vector<int64_t> rowDims(const plan::Port& port, int64_t rows, const std::vector<int64_t>& lengths);

} // namespace dnn::runtime
