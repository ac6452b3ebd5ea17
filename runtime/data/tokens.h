// Text as tokens: bytes, characters or words, and the vocabulary that numbers them.
//
// A character is a code point of UTF-8. Words are what stands between white space (blank, tab, line ends); a vocabulary
// of words knows nothing of the white space. Vocabularies of characters are in the order of the code points, those of
// words begin with the most frequent one, equally frequent ones by their bytes.
#pragma once

#include "runtime/plan/plan.h"
#include "runtime/support/status.h"

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace dnn::runtime {

using plan::TextRule;

/// How token 0 of a vocabulary with an unknown token is written.
inline constexpr std::string_view unknownToken = "<unk>";

/// Where a text stands in its file, for errors: line and column, from 1.
struct TextPlace {
  uint64_t line = 1;
  uint64_t column = 1;

  /// The place behind this text.
  TextPlace behind(std::string_view text) const;
};

/// Finds the vocabulary of a text that comes in pieces.
class VocabularyFinder {
public:
  explicit VocabularyFinder(TextRule rule) : rule_(rule) { single_.fill(0); }

  /// Ends of lines are no tokens where lines are examples. Errors: bytes that are not UTF-8.
  Status add(std::string_view piece, std::string_view name, TextPlace start = {});
  /// `limit` > 0: at most so many tokens, the most frequent ones, of which the first is `unknownToken`. Bytes have an
  /// empty vocabulary. Errors: no tokens.
  Status finish(int64_t limit, std::string_view name, std::vector<std::string>& vocabulary) const;

private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  TextRule rule_;
  std::unordered_map<std::string, uint64_t, Hash, std::equal_to<>> counts_;
  std::array<uint64_t, 256> single_; // of tokens of one byte, which most are: no hash for each
};

/// A vocabulary from a file with one token a line, in which `\n`, `\t`, `\r` and `\\` stand for these characters.
/// Errors: a token twice, a line that is no token of this unit.
Status readVocabulary(std::string_view text, TextRule::Unit unit, std::string_view name,
                      std::vector<std::string>& vocabulary);

/// Without the byte order mark that a file may begin with; bytes are taken as they are.
std::string_view withoutMark(std::string_view text, TextRule::Unit unit);

class Tokenizer {
public:
  /// The source's rule and vocabulary; must outlive the tokenizer.
  explicit Tokenizer(const plan::Source& source);

  /// Appends the tokens of a text, and to `places` where in the text each begins. Errors name the line and column of
  /// what is not UTF-8 or not in the vocabulary.
  Status encode(std::string_view text, std::string_view name, std::vector<int32_t>& tokens, TextPlace start = {},
                std::vector<uint32_t>* places = nullptr) const;

  /// The tokens of a text whose lines are sequences of their own: line i has those from starts[i] to starts[i + 1].
  /// Ends of lines, "\n" or "\r\n", are no tokens. Errors besides: an empty line, and one with more than `most` tokens.
  Status encodeLines(std::string_view text, std::string_view name, int64_t most, std::vector<int32_t>& tokens,
                     std::vector<uint64_t>& starts, TextPlace start = {}) const;

  /// Appends the text of a token; words are separated by blanks. Numbers outside of the vocabulary become the
  /// replacement character.
  void decode(int64_t token, std::string& text) const;

private:
  int32_t numberOf(std::string_view token) const;
  Status unknownAt(const std::string& place, std::string_view token) const;

  const plan::Source& source_;
  std::unordered_map<std::string_view, int32_t> numbers_;
  std::array<int32_t, 256> single_; // of the tokens of one byte, by this byte; -1: none
};

} // namespace dnn::runtime
