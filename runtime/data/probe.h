// What the compiler wants to know of data files to type the fields of a program.
#pragma once

#include "runtime/plan/plan.h"
#include "runtime/support/status.h"

#include <string>
#include <vector>

namespace dnn::runtime {

struct IdxProbe {
  plan::DType dtype = plan::DType::U8; // i8 and i16 are read as i32
  std::vector<int64_t> dims;           // the first is the number of rows
};

/// Reads the header of an IDX file, plain or compressed.
Status probeIdx(const std::string& path, IdxProbe& probe);

struct CsvProbe {
  std::vector<std::string> columns; // names in the first line
};

/// Looks into the files of a source: of csv for its categories and means; of text, npy, npz, cifar and images it fills
/// the types of the fields (those that have a bound keep it; their values must be integers), the vocabulary of a text
/// that has none yet, and the number of rows (of a text: tokens) before any split. `limit`: of the vocabulary, 0 =
/// none.
struct SourceProbe {
  int64_t limit = 0;
  std::string vocabularyFile; // "" = find it in the text
  uint64_t rows = 0;
};
Status probeSource(const std::vector<std::string>& paths, plan::Source& source, SourceProbe& probe);

Status probeCsv(const std::string& path, CsvProbe& probe);
/// What probeSource() does for a csv source.
Status probeCsvCells(const std::string& path, plan::Source& source, const SourceProbe& probe);

} // namespace dnn::runtime
