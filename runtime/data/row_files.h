// Examples that stay in their files, for data that would fill much of the memory: a row is read when its batch is put
// together. What all loaders have in common: rows are kept in memory until they are too many; from then on only where
// they lie is. All of them are checked either way, before training starts.
#pragma once

#include "runtime/data/elements.h"

#include <memory>

namespace dnn::runtime {

/// A row as it is read from files. Used for one row after the other, it keeps its memory.
struct RowValues {
  std::vector<uint8_t> raw;   // as the file has it
  std::vector<Column> fields; // in the order of the dataset's; those that the files give have this one row
};

class RowFiles {
public:
  virtual ~RowFiles() = default;

  /// Reads the values of this row. Any thread may, each into values of its own. Errors: the file is another one than
  /// it was when it was checked.
  virtual Status read(uint64_t row, RowValues& values) const = 0;
  /// A hint that this row will be read.
  virtual void expect(uint64_t row) const = 0;
  /// An error if a file was written to since it was checked.
  virtual Status unchanged() const = 0;

  std::vector<size_t> fields; // which fields of the dataset they have
};

/// The values of the rows while a file is read and checked.
class KeptRows {
public:
  /// At most `memory` bytes of values are kept in `fields`, if the rows can be had from their file again.
  KeptRows(std::vector<Column>& fields, uint64_t memory, bool canStay)
      : fields_(fields), memory_(memory), canStay_(canStay) {}

  /// To be called whenever values were added: they are all still there, or all gone but the lengths of sequences.
  void added();
  bool all() const { return all_; }

private:
  std::vector<Column>& fields_;
  uint64_t memory_;
  bool canStay_;
  bool all_ = true;
};

/// Bytes of the values in memory.
uint64_t heldBytes(const std::vector<Column>& fields);

/// A quarter of the memory that this process may have.
uint64_t defaultDataMemory();

} // namespace dnn::runtime
