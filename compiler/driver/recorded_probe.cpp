#include "compiler/driver/recorded_probe.h"

#include "runtime/plan/bytes.h"

#include <utility>

namespace dnn::driver {

namespace {

using Bytes = std::vector<uint8_t>;
using runtime::ByteReader;
using runtime::ByteWriter;

enum class Question : uint8_t { Idx, Source, Csv, Count };

void write(ByteWriter& out, const sema::IdxInfo& info) {
  out.number(info.dtype);
  for (int64_t dim : info.dims) {
    out.number(dim);
  }
}

void write(ByteWriter& out, const plan::Source& source) {
  plan::Plan plan; // whose encoding is there
  plan.sources.push_back(source);
  Bytes bytes = plan::encode(plan);
  out.number(static_cast<uint64_t>(bytes.size()));
  out.raw(bytes.data(), bytes.size());
}

void write(ByteWriter& out, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    out.string(name);
  }
}

void write(ByteWriter& out, int64_t count) { out.number(count); }

template <class T> Bytes answerOf(const Result<T>& result) {
  Bytes bytes;
  ByteWriter out(bytes);
  out.number(static_cast<uint8_t>(result.ok()));
  if (result) {
    write(out, *result);
  } else {
    out.string(result.error().message);
  }
  return bytes;
}

Bytes questionOf(Question kind, const std::string& path) {
  Bytes bytes;
  ByteWriter out(bytes);
  out.number(kind);
  out.string(path);
  return bytes;
}

Bytes questionOf(Question kind, const plan::Source& source, int64_t limit = 0, const std::string& vocabularyFile = "") {
  Bytes bytes = questionOf(kind, vocabularyFile);
  ByteWriter out(bytes);
  out.number(limit);
  write(out, source);
  return bytes;
}

/// The answer to a question; empty if the bytes are none.
Bytes ask(const Bytes& question, sema::DataProbe& probe) {
  ByteReader in(question.data(), question.size());
  auto kind = in.number<Question>();
  std::string path = in.string();
  switch (kind) {
  case Question::Idx: return answerOf(probe.probeIdx(path));
  case Question::Csv: return answerOf(probe.probeCsv(path));
  case Question::Source:
  case Question::Count: break;
  }
  auto limit = in.number<int64_t>();
  auto size = in.number<uint64_t>();
  const uint8_t* bytes = in.raw(size);
  plan::Plan plan;
  std::string error;
  if (bytes == nullptr || !plan::decode(bytes, size, plan, error) || plan.sources.size() != 1) {
    return {};
  }
  return kind == Question::Count ? answerOf(probe.countExamples(plan.sources[0]))
                                 : answerOf(probe.probeSource(std::move(plan.sources[0]), limit, path));
}

} // namespace

Result<sema::IdxInfo> RecordedProbe::probeIdx(const std::string& path) {
  auto result = probe_.probeIdx(path);
  records_.push_back({questionOf(Question::Idx, path), answerOf(result)});
  return result;
}

Result<plan::Source> RecordedProbe::probeSource(plan::Source source, int64_t limit, const std::string& vocabularyFile) {
  Bytes question = questionOf(Question::Source, source, limit, vocabularyFile);
  auto result = probe_.probeSource(std::move(source), limit, vocabularyFile);
  records_.push_back({std::move(question), answerOf(result)});
  return result;
}

Result<std::vector<std::string>> RecordedProbe::probeCsv(const std::string& path) {
  auto result = probe_.probeCsv(path);
  records_.push_back({questionOf(Question::Csv, path), answerOf(result)});
  return result;
}

Result<int64_t> RecordedProbe::countExamples(const plan::Source& source) {
  auto result = probe_.countExamples(source);
  records_.push_back({questionOf(Question::Count, source), answerOf(result)});
  return result;
}

bool answersStillHold(std::span<const ProbeRecord> records, sema::DataProbe& probe) {
  for (const ProbeRecord& record : records) {
    if (Bytes answer = ask(record.question, probe); answer.empty() || answer != record.answer) {
      return false;
    }
  }
  return true;
}

} // namespace dnn::driver
