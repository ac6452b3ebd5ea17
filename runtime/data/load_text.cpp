#include "runtime/data/loaders.h"
#include "runtime/data/tokens.h"
#include "runtime/support/file.h"

namespace dnn::runtime {

using plan::Source;

namespace {

Status loadLines(const Source& source, std::string_view text, const std::string& path, Dataset& data) {
  std::vector<int32_t> tokens;
  std::vector<uint64_t> starts;
  if (Status status = Tokenizer(source).encodeLines(text, path, source.maxLength, tokens, starts); !status.ok()) {
    return status;
  }
  data.rows = starts.size() - 1;
  for (uint64_t& start : starts) {
    start *= sizeof(int32_t);
  }
  Column& t = data.fields[0];
  const auto* bytes = reinterpret_cast<const uint8_t*>(tokens.data());
  t.bytes.assign(bytes, bytes + tokens.size() * sizeof(int32_t));
  t.starts = std::move(starts);
  fillLengths(t, data.fields[1]);
  return success();
}

} // namespace

Status loadText(const Source& source, const std::vector<std::string>& paths, Dataset& data) {
  if (paths.size() != 1) {
    return failure(ExitCode::Usage, "`%s` reads one text, and %zu are given", source.name.c_str(), paths.size());
  }
  if (data.fields.size() != 2) {
    return failure(ExitCode::Internal, "the plan's text `%s` must have two fields", source.name.c_str());
  }
  std::vector<uint8_t> file;
  if (Status status = readFile(paths[0], file); !status.ok()) {
    return status;
  }
  std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (source.text.lines) {
    return loadLines(source, text, paths[0], data);
  }
  std::vector<int32_t> tokens;
  Status status = Tokenizer(source).encode(text, paths[0], tokens);
  if (!status.ok()) {
    return status;
  }
  file = {};
  uint64_t first = 0;
  uint64_t count = 0;
  splitRange(source.split, tokens.size(), first, count);
  // The window t and, one token further, the window u.
  auto window = static_cast<uint64_t>(source.text.window);
  auto stride = static_cast<uint64_t>(source.text.stride);
  if (count < window + 1) {
    return failure(ExitCode::BadInput, "`%s` has %llu tokens for `%s`; one example needs %llu", paths[0].c_str(),
                   static_cast<unsigned long long>(count), source.name.c_str(),
                   static_cast<unsigned long long>(window + 1));
  }
  data.rows = (count - window - 1) / stride + 1;
  Column& t = data.fields[0];
  Column& u = data.fields[1];
  const auto* bytes = reinterpret_cast<const uint8_t*>(tokens.data());
  t.bytes.assign(bytes + first * sizeof(int32_t), bytes + (first + count) * sizeof(int32_t));
  u.view = t.bytes.data() + sizeof(int32_t);
  t.stride = u.stride = stride * sizeof(int32_t);
  return success();
}

} // namespace dnn::runtime
