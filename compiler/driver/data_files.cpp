#include "compiler/driver/data_files.h"

#include "runtime/data/dataset.h"
#include "runtime/data/probe.h"

#include <filesystem>

namespace dnn::driver {

namespace {

namespace fs = std::filesystem;

void addPaths(const std::string& text, std::map<std::string, std::vector<std::string>>& paths) {
  size_t equals = text.find('=');
  if (equals == std::string::npos) {
    return; // the program reports it
  }
  std::vector<std::string>& files = paths[text.substr(0, equals)];
  for (size_t begin = equals + 1; begin <= text.size();) {
    size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) {
      files.push_back(fs::absolute(text.substr(begin, end - begin)).lexically_normal().string());
    }
    begin = end + 1;
  }
}

} // namespace

std::string folderOf(const std::string& file) { return fs::absolute(file).lexically_normal().parent_path().string(); }

std::map<std::string, std::vector<std::string>> dataPaths(const Options& options) {
  std::map<std::string, std::vector<std::string>> paths;
  for (const std::string& text : options.data) {
    addPaths(text, paths);
  }
  constexpr std::string_view flag = "--data";
  for (size_t i = 0; i < options.arguments.size(); ++i) {
    const std::string& argument = options.arguments[i];
    if (argument == flag && i + 1 < options.arguments.size()) {
      addPaths(options.arguments[++i], paths);
    } else if (argument.starts_with("--data=")) {
      addPaths(argument.substr(flag.size() + 1), paths);
    }
  }
  return paths;
}

std::string FileProbe::resolve(const std::string& path) const {
  return (fs::path(folder_) / path).lexically_normal().string(); // an absolute path stays itself
}

Result<sema::IdxInfo> FileProbe::probeIdx(const std::string& path) {
  runtime::IdxProbe probe;
  if (runtime::Status status = runtime::probeIdx(resolve(path), probe); !status.ok()) {
    return Error{status.message, ""};
  }
  return sema::IdxInfo{probe.dtype, probe.dims};
}

Result<plan::Source> FileProbe::probeSource(plan::Source source, int64_t limit, const std::string& vocabularyFile) {
  std::vector<std::string> paths;
  for (const std::string& path : source.paths) {
    paths.push_back(resolve(path));
  }
  runtime::SourceProbe probe{limit, vocabularyFile.empty() ? "" : resolve(vocabularyFile), 0};
  if (runtime::Status status = runtime::probeSource(paths, source, probe); !status.ok()) {
    return Error{status.message, ""};
  }
  source.rows = probe.rows;
  return source;
}

Result<std::vector<std::string>> FileProbe::probeCsv(const std::string& path) {
  runtime::CsvProbe probe;
  if (runtime::Status status = runtime::probeCsv(resolve(path), probe); !status.ok()) {
    return Error{status.message, ""};
  }
  return probe.columns;
}

Result<int64_t> FileProbe::countExamples(const plan::Source& source) {
  std::vector<std::string> paths;
  for (const std::string& path : source.paths) {
    paths.push_back(resolve(path));
  }
  runtime::Dataset data;
  constexpr uint64_t memory = 0; // only their number is wanted
  if (runtime::Status status = runtime::readExamples(source, paths, memory, data); !status.ok()) {
    return Error{status.message, ""};
  }
  return static_cast<int64_t>(data.rows);
}

} // namespace dnn::driver
