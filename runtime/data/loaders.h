// One function for each kind of file: fills the columns of a dataset (already made, empty) and its number of rows.
// Errors name the file, the place in it and the value.
#pragma once

#include "runtime/data/dataset.h"

namespace dnn::runtime {

/// idx and npy: one file a field. Files of `streamFrom` bytes and more are only opened and checked, where their form
/// allows it.
Status loadArrays(const plan::Source& source, const std::vector<std::string>& paths, uint64_t streamFrom,
                  Dataset& data);
/// One archive; each field is one of its arrays.
Status loadNpz(const plan::Source& source, const std::vector<std::string>& paths, Dataset& data);
/// The records of all files, one file behind the other.
Status loadCifar(const plan::Source& source, const std::vector<std::string>& paths, Dataset& data);
/// Errors: a size that is no multiple of the record's.
Status checkCifarSize(const std::string& path, uint64_t bytes, uint64_t record);
Status loadCsv(const plan::Source& source, const std::vector<std::string>& paths, Dataset& data);
/// The part of the text that the split takes, cut into windows.
Status loadText(const plan::Source& source, const std::vector<std::string>& paths, Dataset& data);

} // namespace dnn::runtime

/// The images of a folder. Decoders are large, so executables have it only where their program reads images: the linker
/// is told to. Elsewhere its address is null.
extern "C" [[gnu::weak]] dnn::runtime::Status
dnn_load_images(const dnn::plan::Source& source, const std::vector<std::string>& paths, dnn::runtime::Dataset& data);
