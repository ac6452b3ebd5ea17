#include "runtime/data/probe.h"

#include "runtime/data/csv.h"
#include "runtime/data/idx.h"
#include "runtime/support/file.h"

namespace dnn::runtime {

Status probeIdx(const std::string& path, IdxProbe& probe) {
  std::vector<uint8_t> file;
  if (Status status = readFile(path, file); !status.ok()) {
    return status;
  }
  IdxHeader header;
  if (Status status = readIdxHeader(file.data(), file.size(), path, header); !status.ok()) {
    return status;
  }
  probe.dtype = widened(header.type);
  probe.dims = header.dims;
  return success();
}

Status probeCsv(const std::string& path, CsvProbe& probe) {
  std::vector<uint8_t> file;
  if (Status status = readFile(path, file); !status.ok()) {
    return status;
  }
  CsvReader reader({reinterpret_cast<const char*>(file.data()), file.size()}, path);
  return readCsvHeader(reader, path, probe.columns);
}

} // namespace dnn::runtime
