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

Status probeCsv(const std::string& path, CsvProbe& probe);

} // namespace dnn::runtime
