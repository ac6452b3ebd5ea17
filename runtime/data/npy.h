// NumPy's .npy files, versions 1, 2 and 3: float16, 32 and 64, signed and unsigned integers of 8 to 64 bits and bool,
// in either byte order, in C or Fortran order. What the language has no type for is widened without loss: float16 to
// f32, int8, int16 and uint16 to i32, uint64 to i64 (values from 2^63 on are refused). Anything else is refused by
// name.
#pragma once

#include "runtime/data/elements.h"

#include <string_view>

namespace dnn::runtime {

/// What a header says: the type and dimensions of the array as readNpy() gives it. `file` may be only the start of the
/// file, as long as it holds the header.
Status readNpyHeader(const uint8_t* file, uint64_t size, std::string_view name, FileArray& array);

/// The values in C order and the machine's byte order.
Status readNpy(const uint8_t* file, uint64_t size, std::string_view name, FileArray& array);

/// Are the values those of the array as they lie in the file? Then they begin at `start`.
bool isPlainNpy(const uint8_t* file, uint64_t size, std::string_view name, FileArray& array, uint64_t& start);

/// The bytes of a version 1 file.
std::vector<uint8_t> writeNpy(plan::DType dtype, const std::vector<int64_t>& dims, const uint8_t* values);

} // namespace dnn::runtime
