// One function for each kind of file: fills the columns of a dataset (already made, empty) and its number of rows. All
// values are checked; at most `memory` bytes of them are kept, where the rows can be read from their files again.
// Errors name the file, the place in it and the value.
#pragma once

#include "runtime/data/dataset.h"

namespace dnn::runtime {

/// idx and npy: one file a field. Rows stay in plain files; of IDX if their values are bytes.
Status loadArrays(const plan::Source& source, const std::vector<std::string>& paths, uint64_t memory, Dataset& data);
/// One archive; each field is one of its arrays. They are always kept.
Status loadNpz(const plan::Source& source, const std::vector<std::string>& paths, Dataset& data);
/// The records of all files, one file behind the other.
Status loadCifar(const plan::Source& source, const std::vector<std::string>& paths, uint64_t memory, Dataset& data);
/// Errors: a size that is no multiple of the record's.
Status checkCifarSize(const std::string& path, uint64_t bytes, uint64_t record);
Status loadCsv(const plan::Source& source, const std::vector<std::string>& paths, uint64_t memory, Dataset& data);
/// The part of the text that the split takes, cut into windows; or all its lines.
Status loadText(const plan::Source& source, const std::vector<std::string>& paths, uint64_t memory, Dataset& data);

} // namespace dnn::runtime

/// The images of a folder. Decoders are large, so executables have it only where their program reads images: the linker
/// is told to. Elsewhere its address is null.
extern "C" [[gnu::weak]] dnn::runtime::Status dnn_load_images(const dnn::plan::Source& source,
                                                              const std::vector<std::string>& paths, uint64_t memory,
                                                              dnn::runtime::Dataset& data);
