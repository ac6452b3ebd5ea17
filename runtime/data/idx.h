// IDX files, the format of MNIST, plain or gzip-compressed (recognised by content, not by name):
//   00 00, type (08 u8, 09 i8, 0b i16, 0c i32, 0d f32, 0e f64), number of dimensions D, D big-endian u32 extents,
//   then the values, row-major, big-endian. The first extent is the number of rows.
#pragma once

#include "runtime/data/elements.h"

#include <string_view>

namespace dnn::runtime {

struct IdxHeader {
  FileType type = FileType::U8;
  std::vector<int64_t> dims; // 1 to 8; the first is the number of rows
  uint64_t headerBytes = 0;
  uint64_t dataBytes = 0;
};

/// Reads the header from the bytes of a file. `name` stands in the errors.
Status readIdxHeader(const uint8_t* file, uint64_t size, std::string_view name, IdxHeader& header);

/// Reads all values, in the machine's byte order. Errors: not IDX, truncated, bytes after the end, damaged gzip.
Status readIdx(const uint8_t* file, uint64_t size, std::string_view name, IdxHeader& header,
               std::vector<uint8_t>& values);

} // namespace dnn::runtime
