#include "runtime/train/events.h"

#include "runtime/support/text.h"

#include <cerrno>
#include <cmath>
#include <cstring>

namespace dnn::runtime {

EventLog::~EventLog() {
  if (file_ != nullptr) {
    std::fclose(file_);
  }
}

Status EventLog::open(const std::string& path, bool append) {
  path_ = path;
  file_ = std::fopen(path.c_str(), append ? "ae" : "we");
  return file_ != nullptr
             ? success()
             : failure(ExitCode::Io, "cannot write the event log `%s`: %s", path.c_str(), std::strerror(errno));
}

void EventLog::begin(const char* event) { std::fprintf(file_, "{\"event\":\"%s\"", event); }

void EventLog::key(const std::string& key) { std::fprintf(file_, ",\"%s\":", jsonEscaped(key).c_str()); }

void EventLog::field(const char* name, uint64_t value) {
  key(name);
  std::fprintf(file_, "%llu", static_cast<unsigned long long>(value));
}

void EventLog::field(const char* name, double value) {
  key(name);
  std::fputs(std::isfinite(value) ? format("%.9g", value).c_str() : "null", file_);
}

void EventLog::field(const char* name, const std::vector<double>& values) {
  key(name);
  const char* between = "[";
  for (double value : values) {
    std::fprintf(file_, "%s%s", between, std::isfinite(value) ? format("%.9g", value).c_str() : "null");
    between = ",";
  }
  std::fputc(']', file_);
}

void EventLog::field(const char* name, const std::string& value) {
  key(name);
  std::fprintf(file_, "\"%s\"", jsonEscaped(value).c_str());
}

void EventLog::fields(const std::vector<Metric>& metrics) {
  for (const Metric& metric : metrics) {
    metric.values.empty() ? field(metric.name.c_str(), metric.value) : field(metric.name.c_str(), metric.values);
  }
}

void EventLog::end() { std::fputs("}\n", file_); }

Status EventLog::flush() {
  if (file_ != nullptr && (std::fflush(file_) != 0 || std::ferror(file_) != 0)) {
    return failure(ExitCode::Io, "cannot write the event log `%s`: %s", path_.c_str(), std::strerror(errno));
  }
  return success();
}

} // namespace dnn::runtime
