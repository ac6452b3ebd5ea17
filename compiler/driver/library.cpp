#include "compiler/driver/library.h"

#include <algorithm>

namespace dnn::driver {

namespace {

bool startsWord(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool continuesWord(char c) { return startsWord(c) || (c >= '0' && c <= '9'); }

/// The word at this place, which may be none.
std::string_view wordAt(std::string_view text, size_t begin) {
  size_t end = begin;
  while (end < text.size() && continuesWord(text[end])) {
    ++end;
  }
  return text.substr(begin, end - begin);
}

void addWords(std::string_view text, std::set<std::string_view>& words) {
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '#') {
      i = std::min(text.find('\n', i), text.size());
    } else if (startsWord(text[i])) {
      std::string_view word = wordAt(text, i);
      words.insert(word);
      i += word.size();
    } else {
      ++i;
    }
  }
}

/// A definition of the library is a line that starts with its kind and its name: `fn relu(…`.
std::vector<std::string_view> definedNames(std::string_view text) {
  std::vector<std::string_view> names;
  for (size_t line = 0; line < text.size();) {
    if (startsWord(text[line])) {
      size_t name = text.find_first_not_of(' ', line + wordAt(text, line).size());
      if (name != std::string_view::npos && startsWord(text[name])) {
        names.push_back(wordAt(text, name));
      }
    }
    line = std::min(text.find('\n', line), text.size() - 1) + 1;
  }
  return names;
}

} // namespace

LibraryChoice chooseLibrary(std::span<const EmbeddedFile> library, std::span<const std::string_view> texts) {
  std::set<std::string_view> words;
  for (std::string_view text : texts) {
    addWords(text, words);
  }
  std::vector<std::vector<std::string_view>> names;
  for (const EmbeddedFile& file : library) {
    names.push_back(definedNames(file.text));
  }
  std::vector<bool> chosen(library.size());
  for (bool more = true; more;) {
    more = false;
    for (size_t i = 0; i < library.size(); ++i) {
      if (!chosen[i] && std::ranges::any_of(names[i], [&](std::string_view name) { return words.contains(name); })) {
        chosen[i] = more = true;
        addWords(library[i].text, words);
      }
    }
  }
  LibraryChoice choice;
  for (size_t i = 0; i < library.size(); ++i) {
    if (chosen[i]) {
      choice.files.push_back(library[i]);
    } else {
      choice.leftOut.insert(choice.leftOut.end(), names[i].begin(), names[i].end());
    }
  }
  return choice;
}

} // namespace dnn::driver
