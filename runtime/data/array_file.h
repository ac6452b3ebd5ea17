// The rows of an array that stay in their file.
#pragma once

#include "runtime/data/row_files.h"

namespace dnn::runtime {

/// Appends values of an array to the column of a field, converted and checked. `name` is that of the array in the
/// errors, which count rows from `firstRow` on.
Status appendValues(const plan::Port& field, const std::string& name, FileType type, const uint8_t* values,
                    uint64_t count, uint64_t firstRow, Column& column);
/// The checks alone.
Status checkValues(const plan::Port& field, const std::string& name, const Column& column, uint64_t firstRow);

/// Opens a plain .npy or IDX file whose rows would take more than `memory` bytes and lie there one behind the other:
/// the shape of the field's, in C order and the machine's byte order. `file` stays null if it is none such, or cannot
/// be read; then the ordinary reader says what is to be said. Errors: a value that no example may have.
Status openArrayFile(const std::string& path, const plan::Port& field, size_t number, uint64_t memory,
                     std::unique_ptr<RowFiles>& file, uint64_t& rows);

} // namespace dnn::runtime
