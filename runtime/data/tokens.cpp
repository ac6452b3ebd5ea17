#include "runtime/data/tokens.h"

#include "runtime/support/text.h"

#include <algorithm>
#include <array>

namespace dnn::runtime {

namespace {

using Unit = TextRule::Unit;

/// The length of the character at the start of `text`, which is not empty; 0 if it is not UTF-8 (also not when it is
/// longer than necessary, a surrogate or beyond U+10FFFF).
size_t characterLength(std::string_view text) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
  auto follows = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  uint8_t first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xC2 && first <= 0xDF) {
    return follows(1) ? 2 : 0;
  }
  if (first >= 0xE0 && first <= 0xEF) {
    bool shortest = first != 0xE0 || byte(1) >= 0xA0;
    bool surrogate = first == 0xED && byte(1) >= 0xA0;
    return shortest && !surrogate && follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    bool shortest = first != 0xF0 || byte(1) >= 0x90;
    bool inRange = first != 0xF4 || byte(1) < 0x90;
    return shortest && inRange && follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

bool isSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f'; }

/// "FILE:12:7", of what stands at `at` in the text.
std::string placeOf(std::string_view name, std::string_view text, TextPlace start, const char* at) {
  TextPlace place = start.behind(text.substr(0, static_cast<size_t>(at - text.data())));
  return format("%s:%llu:%llu", std::string(name).c_str(), static_cast<unsigned long long>(place.line),
                static_cast<unsigned long long>(place.column));
}

/// Calls visit(token) for each token in order until it returns false. Errors: bytes that are not UTF-8.
template <class Visit>
Status forEachToken(std::string_view text, Unit unit, std::string_view name, TextPlace start, Visit visit) {
  size_t wordStart = 0;
  for (size_t at = 0; at <= text.size();) {
    if (unit == Unit::Word && (at == text.size() || isSpace(text[at]))) {
      if (at > wordStart && !visit(text.substr(wordStart, at - wordStart))) {
        return success();
      }
      wordStart = ++at;
      continue;
    }
    if (at == text.size()) {
      break;
    }
    size_t length = unit == Unit::Byte ? 1 : characterLength(text.substr(at));
    if (length == 0) {
      return failure(ExitCode::BadInput, "%s: the byte 0x%02x is not UTF-8 here; `unit = byte` reads any file",
                     placeOf(name, text, start, text.data() + at).c_str(), static_cast<uint8_t>(text[at]));
    }
    if (unit != Unit::Word && !visit(text.substr(at, length))) {
      return success();
    }
    at += length;
  }
  return success();
}

/// Is this token of the text the end of a line, or the first half of one?
bool endsLine(std::string_view text, std::string_view token) {
  auto next = static_cast<size_t>(token.data() - text.data()) + 1;
  return token == "\n" || (token == "\r" && next < text.size() && text[next] == '\n');
}

/// Where the line that begins at `start` ends.
size_t endOfLine(std::string_view text, size_t start) { return std::min(text.find('\n', start), text.size()); }

} // namespace

TextPlace TextPlace::behind(std::string_view text) const {
  auto lines = static_cast<uint64_t>(std::ranges::count(text, '\n'));
  std::string_view last = lines > 0 ? text.substr(text.rfind('\n') + 1) : text;
  auto characters = static_cast<uint64_t>(
      std::ranges::count_if(last, [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
  return {line + lines, (lines > 0 ? 1 : column) + characters};
}

std::string_view withoutMark(std::string_view text, Unit unit) {
  return unit != Unit::Byte && text.starts_with("\xEF\xBB\xBF") ? text.substr(3) : text;
}

Status VocabularyFinder::add(std::string_view piece, std::string_view name, TextPlace start) {
  if (rule_.unit == Unit::Byte) {
    return success();
  }
  return forEachToken(piece, rule_.unit, name, start, [&](std::string_view token) {
    if (rule_.lines && endsLine(piece, token)) {
      return true;
    }
    if (token.size() == 1) {
      ++single_[static_cast<uint8_t>(token[0])];
    } else if (auto found = counts_.find(token); found != counts_.end()) {
      ++found->second;
    } else {
      counts_.emplace(token, 1);
    }
    return true;
  });
}

Status VocabularyFinder::finish(int64_t limit, std::string_view name, std::vector<std::string>& vocabulary) const {
  Unit unit = rule_.unit;
  vocabulary.clear();
  if (unit == Unit::Byte) {
    return success();
  }
  std::vector<std::pair<std::string, uint64_t>> order(counts_.begin(), counts_.end());
  for (size_t byte = 0; byte < single_.size(); ++byte) {
    if (single_[byte] > 0) {
      order.emplace_back(std::string(1, static_cast<char>(byte)), single_[byte]);
    }
  }
  if (order.empty()) {
    return failure(ExitCode::BadInput, "`%s` has no %s", std::string(name).c_str(),
                   unit == Unit::Word ? "words" : "characters");
  }
  auto byText = [](const auto& a, const auto& b) { return a.first < b.first; };
  auto byCount = [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  };
  if (unit == Unit::Word || limit > 0) {
    std::sort(order.begin(), order.end(), byCount);
  }
  if (limit > 0) {
    vocabulary.emplace_back(unknownToken);
    // What the text itself writes as the unknown token is that token.
    std::erase_if(order, [](const auto& token) { return token.first == unknownToken; });
    order.resize(std::min(order.size(), static_cast<size_t>(limit - 1)));
  }
  if (unit == Unit::Char) {
    std::sort(order.begin(), order.end(), byText); // the bytes of UTF-8 are in the order of the code points
  }
  for (const auto& [token, count] : order) {
    vocabulary.emplace_back(token);
  }
  return success();
}

Status readVocabulary(std::string_view text, Unit unit, std::string_view fileName,
                      std::vector<std::string>& vocabulary) {
  std::string name(fileName);
  vocabulary.clear();
  text = withoutMark(text, Unit::Char);
  std::unordered_map<std::string, uint64_t> lines;
  unsigned long long line = 0;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size());
    std::string_view raw = text.substr(at, end - at);
    at = end + 1;
    ++line;
    if (!raw.empty() && raw.back() == '\r') {
      raw.remove_suffix(1);
    }
    std::string token;
    for (size_t i = 0; i < raw.size(); ++i) {
      size_t escape =
          raw[i] == '\\' && i + 1 < raw.size() ? std::string_view("ntr\\").find(raw[i + 1]) : std::string_view::npos;
      token += escape == std::string_view::npos ? raw[i] : "\n\t\r\\"[escape];
      i += escape == std::string_view::npos ? 0 : 1;
    }
    size_t count = 0;
    size_t length = 0;
    Status status = forEachToken(token, unit, name, {}, [&](std::string_view part) {
      ++count;
      length = part.size();
      return true;
    });
    bool whole = count == 1 && length == token.size();
    if (!status.ok() || (!whole && token != unknownToken)) {
      return failure(ExitCode::BadInput, "%s:%llu: `%s` is not one %s", name.c_str(), line, printable(raw).c_str(),
                     unit == Unit::Word ? "word" : "character");
    }
    if (auto [first, added] = lines.emplace(token, line); !added) {
      return failure(ExitCode::BadInput, "%s:%llu: `%s` stands on line %llu already", name.c_str(), line,
                     printable(raw).c_str(), static_cast<unsigned long long>(first->second));
    }
    if (token == unknownToken && line > 1) {
      return failure(ExitCode::BadInput, "%s:%llu: `<unk>` can only be the first token", name.c_str(), line);
    }
    vocabulary.push_back(std::move(token));
  }
  return vocabulary.empty() ? failure(ExitCode::BadInput, "`%s` has no tokens", name.c_str()) : success();
}

Tokenizer::Tokenizer(const plan::Source& source) : source_(source) {
  single_.fill(-1);
  for (size_t i = 0; i < source.vocabulary.size(); ++i) {
    const std::string& token = source.vocabulary[i];
    numbers_.emplace(token, static_cast<int32_t>(i));
    if (token.size() == 1) {
      single_[static_cast<uint8_t>(token[0])] = static_cast<int32_t>(i);
    }
  }
}

/// -1: it is not in the vocabulary, which has no token for such ones.
int32_t Tokenizer::numberOf(std::string_view token) const {
  if (source_.text.unit == Unit::Byte) {
    return static_cast<uint8_t>(token[0]);
  }
  if (int32_t known = token.size() == 1 ? single_[static_cast<uint8_t>(token[0])] : -1; known >= 0) {
    return known;
  }
  auto found = numbers_.find(token);
  return found != numbers_.end() ? found->second : source_.text.unknown ? 0 : -1;
}

Status Tokenizer::unknownAt(const std::string& place, std::string_view token) const {
  return failure(ExitCode::BadInput,
                 "%s: `%s` is not in the vocabulary of `%s`; a vocabulary with a limit (`vocab = %zu`) has a token "
                 "for what it does not know",
                 place.c_str(), printable(token).c_str(), source_.name.c_str(), source_.vocabulary.size() + 1);
}

Status Tokenizer::encode(std::string_view text, std::string_view name, std::vector<int32_t>& tokens, TextPlace start,
                         std::vector<uint32_t>* places) const {
  Status missing;
  Status status = forEachToken(text, source_.text.unit, name, start, [&](std::string_view token) {
    int32_t number = numberOf(token);
    if (number < 0) {
      missing = unknownAt(placeOf(name, text, start, token.data()), token);
      return false;
    }
    tokens.push_back(number);
    if (places != nullptr) {
      places->push_back(static_cast<uint32_t>(token.data() - text.data()));
    }
    return true;
  });
  return status.ok() ? missing : status;
}

Status Tokenizer::encodeLines(std::string_view text, std::string_view name, int64_t most, std::vector<int32_t>& tokens,
                              std::vector<uint64_t>& starts, TextPlace start) const {
  Status missing;
  size_t line = 0; // where the present one begins and ends
  size_t end = endOfLine(text, line);
  starts = {tokens.size()};
  auto endLinesBefore = [&](size_t at) {
    while (line < text.size() && end < at) {
      starts.push_back(tokens.size());
      line = end + 1;
      end = endOfLine(text, line);
    }
  };
  Status status = forEachToken(text, source_.text.unit, name, start, [&](std::string_view token) {
    endLinesBefore(static_cast<size_t>(token.data() - text.data()));
    int32_t number = endsLine(text, token) ? 0 : numberOf(token);
    if (number < 0) {
      missing = unknownAt(placeOf(name, text, start, token.data()), token);
      return false;
    }
    if (!endsLine(text, token)) {
      tokens.push_back(number);
    }
    return true;
  });
  endLinesBefore(text.size() + 1);
  status = status.ok() ? missing : status;
  for (size_t i = 0; status.ok() && i + 1 < starts.size(); ++i) {
    auto number = static_cast<unsigned long long>(start.line + i);
    uint64_t count = starts[i + 1] - starts[i];
    if (count == 0) {
      status = failure(ExitCode::BadInput,
                       "%s:%llu: the line has no tokens; each line is an example, which needs at least one",
                       std::string(name).c_str(), number);
    } else if (count > static_cast<uint64_t>(most)) {
      status = failure(ExitCode::BadInput, "%s:%llu: the line has %llu tokens; an example has at most %lld",
                       std::string(name).c_str(), number, static_cast<unsigned long long>(count),
                       static_cast<long long>(most));
    }
  }
  return status;
}

void Tokenizer::decode(int64_t token, std::string& text) const {
  if (source_.text.unit == Unit::Byte) {
    text += static_cast<char>(token);
    return;
  }
  bool known = token >= 0 && token < static_cast<int64_t>(source_.vocabulary.size());
  bool replaced = !known || (source_.text.unit == Unit::Char && source_.text.unknown && token == 0);
  if (source_.text.unit == Unit::Word && !text.empty()) {
    text += ' ';
  }
  text += replaced ? "\xEF\xBF\xBD" : source_.vocabulary[static_cast<size_t>(token)];
}

} // namespace dnn::runtime
