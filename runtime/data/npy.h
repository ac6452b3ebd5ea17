// NumPy's .npy files, versions 1 and 2: little-endian f4, f8, i1, i2, i4, i8, u1, u4 and bool, C order. Anything else
// is refused by name.
#pragma once

#include "runtime/data/elements.h"

#include <string_view>

namespace dnn::runtime {

struct NpyArray {
  FileType type = FileType::F32;
  std::vector<int64_t> dims;       // of the whole array; empty for a scalar
  const uint8_t* values = nullptr; // inside the file's buffer
  uint64_t count = 0;
};

Status readNpy(const uint8_t* file, uint64_t size, std::string_view name, NpyArray& array);

/// The bytes of a version 1 file.
std::vector<uint8_t> writeNpy(plan::DType dtype, const std::vector<int64_t>& dims, const uint8_t* values);

} // namespace dnn::runtime
