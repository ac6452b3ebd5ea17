#include "compiler/diag/diagnostics.h"

#include <algorithm>
#include <set>

namespace dnn::diag {

namespace {

struct Row {
  std::string_view name;
  Severity severity;
  std::string_view message;
};

constexpr Row kRows[] = {
#define DIAG(name, severity, message, ...) {#name, Severity::severity, message},
#include "compiler/diag/diagnostics.def"
};

const Row& rowOf(DiagId id) { return kRows[static_cast<size_t>(id)]; }

std::string fillIn(std::string_view message, const std::vector<std::string>& args) {
  std::string out;
  for (size_t i = 0; i < message.size(); ++i) {
    bool placeholder = message[i] == '{' && i + 2 < message.size() && message[i + 1] >= '0' && message[i + 1] <= '9' &&
                       message[i + 2] == '}';
    if (placeholder) {
      out += args[static_cast<size_t>(message[i + 1] - '0')];
      i += 2;
    } else {
      out += message[i];
    }
  }
  return out;
}

/// Where the user looks first: the outermost call of the trace, or the place itself.
SourceRange anchorOf(const Diagnostic& d) {
  for (auto note = d.trace.rbegin(); note != d.trace.rend(); ++note) {
    if (note->range.valid()) {
      return note->range;
    }
  }
  return d.range;
}

} // namespace

std::string_view nameOf(Severity severity) {
  switch (severity) {
  case Severity::Error: return "error";
  case Severity::Warning: return "warning";
  }
  return "?";
}

std::string_view nameOf(DiagId id) { return rowOf(id).name; }

DiagBuilder& DiagBuilder::note(SourceRange range, std::string text) {
  diagnostic_.notes.push_back({range, std::move(text)});
  return *this;
}

DiagBuilder& DiagBuilder::hint(std::string text) {
  diagnostic_.hint = std::move(text);
  return *this;
}

Diagnostic& Diagnostics::add(DiagId id, SourceRange range, std::vector<std::string> args) {
  const Row& row = rowOf(id);
  errors_ += row.severity == Severity::Error;
  Diagnostic made{id, row.severity, range, fillIn(row.message, args), "", {}, {trace_.rbegin(), trace_.rend()}};
  if (stored_.size() == kMaxStored) {
    ++dropped_;
    overflow_ = std::move(made);
    return overflow_;
  }
  return stored_.emplace_back(std::move(made));
}

std::vector<const Diagnostic*> Diagnostics::sorted() const {
  std::vector<const Diagnostic*> order;
  std::set<std::tuple<DiagId, uint32_t, uint32_t, uint32_t, std::string_view>> seen;
  for (const Diagnostic& d : stored_) {
    if (seen.insert({d.id, d.range.file.index, d.range.begin, d.range.end, d.message}).second) {
      order.push_back(&d);
    }
  }
  auto key = [](const Diagnostic* d) {
    SourceRange a = anchorOf(*d);
    return std::tuple(a.file.index, a.begin, d->range.file.index, d->range.begin);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](const Diagnostic* a, const Diagnostic* b) { return key(a) < key(b); });
  return order;
}

Diagnostics::TraceScope::TraceScope(Diagnostics& diags, SourceRange range, std::string text) : diags_(diags) {
  diags_.trace_.push_back({range, std::move(text)});
}

Diagnostics::TraceScope::~TraceScope() { diags_.trace_.pop_back(); }

} // namespace dnn::diag
