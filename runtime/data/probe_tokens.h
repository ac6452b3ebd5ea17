// What texts and the texts in tables have in common when the compiler looks into them.
#pragma once

#include "runtime/data/probe.h"
#include "runtime/data/tokens.h"

#include <functional>

namespace dnn::runtime {

/// The vocabulary that the source is to have: of a file, or of what `addText` adds, unless it has one already.
Status findTokens(plan::Source& source, const SourceProbe& probe, const std::string& path,
                  const std::function<Status(VocabularyFinder&)>& addText);

/// How many tokens the source tells apart.
int64_t tokenCount(const plan::Source& source);

/// Types the fields of sequences of numbers, none longer than `most`, and of their lengths.
void describeSequence(plan::Port& field, int64_t most);
void describeLengths(plan::Port& field, int64_t most);

} // namespace dnn::runtime
