// What a compilation asked about data files, with the answers: whoever asks the same again and gets the same answers
// compiles the same program.
#pragma once

#include "compiler/sema/sema.h"

#include <cstdint>
#include <span>
#include <vector>

namespace dnn::driver {

/// A call of a probe, and what it returned, as bytes.
struct ProbeRecord {
  std::vector<uint8_t> question;
  std::vector<uint8_t> answer;
  bool operator==(const ProbeRecord&) const = default;
};

/// Asks another probe and writes down what it said.
class RecordedProbe : public sema::DataProbe {
public:
  RecordedProbe(sema::DataProbe& probe, std::vector<ProbeRecord>& records) : probe_(probe), records_(records) {}
  Result<sema::IdxInfo> probeIdx(const std::string& path) override;
  Result<plan::Source> probeSource(plan::Source source, int64_t limit, const std::string& vocabularyFile) override;
  Result<std::vector<std::string>> probeCsv(const std::string& path) override;
  Result<int64_t> countExamples(const plan::Source& source) override;

private:
  sema::DataProbe& probe_;
  std::vector<ProbeRecord>& records_;
};

/// Asks everything again. False where an answer is another one, or a record is damaged.
bool answersStillHold(std::span<const ProbeRecord> records, sema::DataProbe& probe);

} // namespace dnn::driver
