// Columns of typed values, and the one place where values from files become values of the language's types.
#pragma once

#include "runtime/plan/plan.h"
#include "runtime/support/status.h"

#include <cstdint>
#include <string>
#include <vector>

namespace dnn::runtime {

/// Element types found in files: those of the language and the small integers that are widened when they are read.
enum class FileType : uint8_t { F32, F64, I8, I16, I32, I64, U8, U32, Bool, BF16, F16 };

int byteSize(FileType type);
FileType fileType(plan::DType dtype);
/// The type of the language that holds every value: i8 and i16 become i32.
plan::DType widened(FileType type);

/// The values of a file, in C order and the machine's byte order; where they are the examples of a field, rows first.
struct FileArray {
  FileType type = FileType::F32;
  std::vector<int64_t> dims; // of the whole array; empty for a scalar
  uint64_t count = 0;        // product of dims
  std::vector<uint8_t> values;
};

/// One field of all examples: `rows` rows of dims, row-major. Rows that are sequences have their own lengths.
struct Column {
  plan::DType dtype = plan::DType::F32;
  std::vector<int64_t> dims; // of one row; of sequences the longest
  uint64_t rowBytes = 0;
  std::vector<uint8_t> bytes;
  uint64_t stride = 0;           // bytes from one row to the next; less than rowBytes where rows overlap
  const uint8_t* view = nullptr; // the rows lie here, in the bytes of another column

  uint64_t placeBytes = 0;      // > 0: the rows are sequences, with so many bytes for each place
  std::vector<uint64_t> starts; // of sequences: where each begins in `bytes`, then the end of the last one
  bool lengths = false;         // the values are the lengths of the field before it

  void clear() {
    bytes.clear();
    starts.resize(placeBytes > 0 ? 1 : 0); // what is left of them is the 0
  }
  const uint8_t* row(uint64_t index) const {
    return placeBytes > 0 ? bytes.data() + starts[index] : (view != nullptr ? view : bytes.data()) + index * stride;
  }
  /// Bytes of this row, and of every row of a batch whose sequences have `length` places.
  uint64_t bytesOf(uint64_t index) const { return placeBytes > 0 ? starts[index + 1] - starts[index] : rowBytes; }
  uint64_t bytesFor(int64_t length) const {
    return placeBytes > 0 ? placeBytes * static_cast<uint64_t>(length) : rowBytes;
  }
};

/// An empty column with the type of the port's rows. False if a row would be larger than 2^40 bytes.
bool makeColumn(const plan::Port& port, Column& column);

/// Appends the number of places of a sequence to an i32 column.
void appendLength(const Column& sequences, uint64_t row, Column& lengths);

/// Appends `count` values, converted to the column's type: to floats always (rounded to nearest), to integers where
/// the value is one and fits. `bad` is the index of the first value that does not convert.
bool convertInto(FileType from, const uint8_t* values, uint64_t count, Column& column, uint64_t& bad);

/// The first value that an example may not have: NaN or infinity, or outside 0 ≤ v < bound when bound > 0.
/// `reason` says why ("is nan", "is 11, but must be in 0..9").
bool findBadValue(const Column& column, int64_t bound, uint64_t& bad, std::string& reason);

/// The value at a position of an array of this type.
double numberAt(plan::DType dtype, const uint8_t* values, uint64_t index);

/// The value as text.
std::string valueText(FileType type, const uint8_t* value);

} // namespace dnn::runtime
