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

std::string_view withoutMark(std::string_view text) {
  return text.substr(0, 3) == "\xEF\xBB\xBF" ? text.substr(3) : text;
}

/// "FILE:12:7", from the start of the text to what stands at `rest`.
std::string placeOf(std::string_view name, std::string_view text, const char* at) {
  std::string_view before(text.data(), static_cast<size_t>(at - text.data()));
  auto line = std::count(before.begin(), before.end(), '\n') + 1;
  size_t start = before.rfind('\n');
  std::string_view inLine = start == std::string_view::npos ? before : before.substr(start + 1);
  auto column =
      std::count_if(inLine.begin(), inLine.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
  return format("%s:%lld:%lld", std::string(name).c_str(), static_cast<long long>(line),
                static_cast<long long>(column + 1));
}

/// Calls visit(token) for each token in order until it returns false. Errors: bytes that are not UTF-8.
template <class Visit> Status forEachToken(std::string_view all, Unit unit, std::string_view name, Visit visit) {
  std::string_view text = unit == Unit::Byte ? all : withoutMark(all);
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
                     placeOf(name, all, text.data() + at).c_str(), static_cast<uint8_t>(text[at]));
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

Status findVocabulary(std::string_view text, const TextRule& rule, int64_t limit, std::string_view name,
                      std::vector<std::string>& vocabulary) {
  Unit unit = rule.unit;
  vocabulary.clear();
  if (unit == Unit::Byte) {
    return success();
  }
  std::unordered_map<std::string_view, uint64_t> counts;
  std::array<std::pair<std::string_view, uint64_t>, 256> single; // most tokens of most texts: no hash for each
  single.fill({});
  Status status = forEachToken(text, unit, name, [&](std::string_view token) {
    if (rule.lines && endsLine(text, token)) {
      return true;
    }
    if (token.size() == 1) {
      auto& [first, count] = single[static_cast<uint8_t>(token[0])];
      first = token;
      ++count;
    } else {
      ++counts[token];
    }
    return true;
  });
  if (!status.ok()) {
    return status;
  }
  for (const auto& [token, count] : single) {
    if (count > 0) {
      counts.emplace(token, count);
    }
  }
  if (counts.empty()) {
    return failure(ExitCode::BadInput, "`%s` has no %s", std::string(name).c_str(),
                   unit == Unit::Word ? "words" : "characters");
  }
  std::vector<std::pair<std::string_view, uint64_t>> order(counts.begin(), counts.end());
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
  text = withoutMark(text);
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
    Status status = forEachToken(token, unit, name, [&](std::string_view part) {
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

Status Tokenizer::encode(std::string_view text, std::string_view name, std::vector<int32_t>& tokens) const {
  return encode(text, name, tokens, nullptr);
}

Status Tokenizer::encodeLines(std::string_view text, std::string_view name, int64_t most, std::vector<int32_t>& tokens,
                              std::vector<uint64_t>& starts) const {
  starts.clear();
  if (Status status = encode(text, name, tokens, &starts); !status.ok()) {
    return status;
  }
  for (size_t i = 0; i + 1 < starts.size(); ++i) {
    uint64_t count = starts[i + 1] - starts[i];
    if (count == 0) {
      return failure(ExitCode::BadInput,
                     "%s:%zu: the line has no tokens; each line is an example, which needs at least one",
                     std::string(name).c_str(), i + 1);
    }
    if (count > static_cast<uint64_t>(most)) {
      return failure(ExitCode::BadInput, "%s:%zu: the line has %llu tokens; an example has at most %lld",
                     std::string(name).c_str(), i + 1, static_cast<unsigned long long>(count),
                     static_cast<long long>(most));
    }
  }
  return success();
}

Status Tokenizer::encode(std::string_view text, std::string_view name, std::vector<int32_t>& tokens,
                         std::vector<uint64_t>* starts) const {
  const TextRule& rule = source_.text;
  Status missing;
  size_t line = 0; // where the present one begins and ends
  size_t end = endOfLine(text, line);
  auto endLinesBefore = [&](size_t at) {
    while (line < text.size() && end < at) {
      starts->push_back(tokens.size());
      line = end + 1;
      end = endOfLine(text, line);
    }
  };
  if (starts != nullptr) {
    starts->push_back(tokens.size());
  }
  Status status = forEachToken(text, rule.unit, name, [&](std::string_view token) {
    if (starts != nullptr) {
      endLinesBefore(static_cast<size_t>(token.data() - text.data()));
      if (endsLine(text, token)) {
        return true;
      }
    }
    if (rule.unit == Unit::Byte) {
      tokens.push_back(static_cast<uint8_t>(token[0]));
      return true;
    }
    if (int32_t known = token.size() == 1 ? single_[static_cast<uint8_t>(token[0])] : -1; known >= 0) {
      tokens.push_back(known);
      return true;
    }
    auto found = numbers_.find(token);
    if (found == numbers_.end() && !rule.unknown) {
      missing =
          failure(ExitCode::BadInput,
                  "%s: `%s` is not in the vocabulary of `%s`; a vocabulary with a limit (`vocab = %zu`) has a token "
                  "for what it does not know",
                  placeOf(name, text, token.data()).c_str(), printable(token).c_str(), source_.name.c_str(),
                  source_.vocabulary.size() + 1);
      return false;
    }
    tokens.push_back(found == numbers_.end() ? 0 : found->second);
    return true;
  });
  if (starts != nullptr) {
    endLinesBefore(text.size() + 1);
  }
  return status.ok() ? missing : status;
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
