// Data files, as far as compiling needs them: which ones the user named, and what types their fields have.
#pragma once

#include "compiler/driver/options.h"
#include "compiler/sema/sema.h"

#include <map>
#include <string>
#include <vector>

namespace dnn::driver {

/// The absolute folder that a file lies in.
std::string folderOf(const std::string& file);

/// `--data` of the compiler, and of the program where `run` passes it on: by data source, absolute paths. Naming a
/// source again adds files to it.
std::map<std::string, std::vector<std::string>> dataPaths(const Options& options);

/// Reads the heads of data files with the runtime's own readers. Relative paths start at `folder`.
class FileProbe : public sema::DataProbe {
public:
  explicit FileProbe(std::string folder) : folder_(std::move(folder)) {}
  Result<sema::IdxInfo> probeIdx(const std::string& path) override;
  Result<plan::Source> probeSource(plan::Source source, int64_t limit, const std::string& vocabularyFile) override;
  Result<std::vector<std::string>> probeCsv(const std::string& path) override;
  Result<int64_t> countExamples(const plan::Source& source) override;

private:
  std::string resolve(const std::string& path) const;

  std::string folder_;
};

} // namespace dnn::driver
