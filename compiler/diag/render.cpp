// Diagnostics as text: for a person, and as JSON for tools.
#include "compiler/diag/diagnostics.h"

#include <nlohmann/json.hpp>

namespace dnn::diag {

namespace {

/// The most columns of a source line that are shown; a longer line is cut to a window around the place.
constexpr size_t kMaxColumns = 160;

bool startsCodePoint(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

/// `range` within its first line, as the line and a row of carets under it.
void renderExcerpt(std::string& out, const Sources& sources, SourceRange range) {
  LineColumn at = sources.lineColumn(range.file, range.begin);
  std::string_view line = sources.line(range.file, at.line);
  size_t lineBegin = sources.lineBegin(range.file, at.line);
  size_t begin = std::min<size_t>(range.begin - lineBegin, line.size());
  size_t end = std::min<size_t>(std::max(range.end, range.begin + 1) - lineBegin, line.size());

  size_t from = 0;
  size_t to = line.size();
  if (line.size() > kMaxColumns) {
    from = begin > kMaxColumns / 2 ? begin - kMaxColumns / 2 : 0;
    to = std::min(line.size(), from + kMaxColumns);
    while (from > 0 && !startsCodePoint(line[from])) {
      --from;
    }
    while (to < line.size() && !startsCodePoint(line[to])) {
      --to;
    }
    end = std::min(end, to);
  }
  std::string shown(from > 0 ? "…" : "");
  std::string marks(from > 0 ? " " : "");
  for (size_t i = from; i < to;) {
    size_t length = utf8Length(line.substr(i));
    // Control characters and bytes that are no text would change, or break, what shows them.
    bool control = static_cast<unsigned char>(line[i]) < 0x20 && line[i] != '\t';
    shown += control || length == 0 ? "?" : line.substr(i, length);
    if (i < std::max(end, begin + 1)) {
      marks += i >= begin ? '^' : (line[i] == '\t' ? '\t' : ' ');
    }
    i += std::max<size_t>(length, 1);
  }
  if (begin >= to) {
    marks += '^'; // just past the end of the line
  }
  shown += to < line.size() ? "…" : "";
  std::string number = std::to_string(at.line);
  std::string margin(number.size(), ' ');
  out += "  " + number + " | " + shown + "\n  " + margin + " | " + marks + "\n";
}

void renderOne(std::string& out, const Sources& sources, SourceRange range, std::string_view head,
               const std::string& text) {
  std::string where = sources.where(range);
  out += where.empty() ? "" : where + ": ";
  out += std::string(head) + ": " + text + "\n";
  if (range.valid()) {
    renderExcerpt(out, sources, range);
  }
}

void locate(nlohmann::ordered_json& json, const Sources& sources, SourceRange range) {
  if (!range.valid()) {
    return;
  }
  LineColumn begin = sources.lineColumn(range.file, range.begin);
  LineColumn end = sources.lineColumn(range.file, range.end);
  json["file"] = sources.name(range.file);
  json["line"] = begin.line;
  json["column"] = begin.column;
  json["endLine"] = end.line;
  json["endColumn"] = end.column;
}

} // namespace

std::string Diagnostics::render() const {
  std::string out;
  std::vector<const Diagnostic*> order = sorted();
  size_t shown = std::min(order.size(), kMaxRendered);
  for (size_t i = 0; i < shown; ++i) {
    const Diagnostic& d = *order[i];
    std::string text = d.message + (d.hint.empty() ? "" : "; " + d.hint) + " [" + std::string(nameOf(d.id)) + "]";
    renderOne(out, sources_, d.range, nameOf(d.severity), text);
    for (const std::vector<Note>* notes : {&d.notes, &d.trace}) {
      for (const Note& note : *notes) {
        renderOne(out, sources_, note.range, "note", note.text);
      }
    }
  }
  size_t hidden = order.size() - shown + dropped_;
  if (hidden != 0) {
    out += "… and " + std::to_string(hidden) + " more\n";
  }
  return out;
}

std::string Diagnostics::renderJson() const {
  auto list = nlohmann::ordered_json::array();
  for (const Diagnostic* d : sorted()) {
    nlohmann::ordered_json json;
    json["severity"] = nameOf(d->severity);
    json["name"] = nameOf(d->id);
    json["message"] = d->message;
    if (!d->hint.empty()) {
      json["hint"] = d->hint;
    }
    locate(json, sources_, d->range);
    json["notes"] = nlohmann::ordered_json::array();
    for (const std::vector<Note>* notes : {&d->notes, &d->trace}) {
      for (const Note& note : *notes) {
        nlohmann::ordered_json entry;
        entry["message"] = note.text;
        locate(entry, sources_, note.range);
        json["notes"].push_back(std::move(entry));
      }
    }
    list.push_back(std::move(json));
  }
  // A source may hold any bytes, and a message may quote them.
  return list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

} // namespace dnn::diag
