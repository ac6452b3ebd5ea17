#include "runtime/data/probe_tokens.h"

#include "runtime/support/file.h"

namespace dnn::runtime {

using plan::Source;
using plan::TextRule;

Status findTokens(Source& source, const SourceProbe& probe, const std::string& path,
                  const std::function<Status(VocabularyFinder&)>& addText) {
  if (!probe.vocabularyFile.empty()) {
    std::vector<uint8_t> words;
    Status status = readFile(probe.vocabularyFile, words);
    std::string_view text(reinterpret_cast<const char*>(words.data()), words.size());
    status = status.ok() ? readVocabulary(text, source.text.unit, probe.vocabularyFile, source.vocabulary) : status;
    source.text.unknown = status.ok() && source.vocabulary[0] == unknownToken;
    return status;
  }
  if (!source.vocabulary.empty()) {
    return success();
  }
  source.text.unknown = probe.limit > 0;
  TextRule rule = source.text;
  rule.lines = rule.lines && source.kind == Source::Kind::Text; // a cell may have several lines
  VocabularyFinder finder(rule);
  Status status = addText(finder);
  return status.ok() ? finder.finish(probe.limit, path, source.vocabulary) : status;
}

int64_t tokenCount(const Source& source) {
  return source.text.unit == TextRule::Unit::Byte ? 256 : static_cast<int64_t>(source.vocabulary.size());
}

void describeSequence(plan::Port& field, int64_t most) {
  field.dtype = plan::DType::I32;
  field.dims = {most};
  field.varying = {{0, 0, {{1, 1}}}};
}

void describeLengths(plan::Port& field, int64_t most) {
  field.dtype = plan::DType::I32;
  field.bound = most + 1;
  field.lengthOf = 1;
}

} // namespace dnn::runtime
