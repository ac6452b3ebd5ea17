// The rows of a field that stay in their file: for data that would fill much of the memory. A row is read when its
// batch is put together; the kernel is asked for the rows of the batch behind it, so that they are there when their
// turn comes.
#pragma once

#include "runtime/data/elements.h"

#include <memory>

namespace dnn::runtime {

class RowFile {
public:
  ~RowFile();
  RowFile(const RowFile&) = delete;
  RowFile& operator=(const RowFile&) = delete;

  /// Opens a plain .npy or IDX file of at least `least` bytes whose rows are those of the field as they lie there: the
  /// same shape and type, in C order and the machine's byte order. `file` stays null if it is none such, or cannot be
  /// read; then the ordinary reader says what is to be said. Errors: a truncated file, a value that no example may
  /// have.
  static Status open(const std::string& path, const plan::Port& field, uint64_t least, std::unique_ptr<RowFile>& file,
                     uint64_t& rows);

  Status read(uint64_t firstRow, uint64_t count, uint8_t* to) const;
  /// A hint that this row will be read.
  void expect(uint64_t row) const;

private:
  RowFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  Status check(const plan::Port& field, uint64_t rows) const;

  int descriptor_;
  std::string path_;
  uint64_t start_ = 0; // of the first row
  uint64_t rowBytes_ = 0;
};

/// Files from this size on stay where they are: a quarter of the machine's memory.
uint64_t streamedFrom();

} // namespace dnn::runtime
