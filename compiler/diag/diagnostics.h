// Diagnostics: what the compiler has to say about the user's source. Each kind is a row of diagnostics.def; reporting
// one with arguments of the wrong number or type does not compile:
//
//   diags.report<DiagId::extent_mismatch>(range, "K", 784, 10).note(other, "`K` is bound here").hint("transpose it");
//
// Nothing is printed when it is reported: a run collects, then renders all that were found, sorted by position, without
// repetitions, the first 20 in full.
#pragma once

#include "compiler/diag/source.h"

#include <deque>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace dnn::diag {

enum class Severity : uint8_t { Error, Warning };
std::string_view nameOf(Severity severity);

enum class DiagId : uint16_t {
#define DIAG(name, severity, message, ...) name,
#include "compiler/diag/diagnostics.def"
};

struct Note {
  SourceRange range; // may be invalid: then only the text is shown
  std::string text;
};

struct Diagnostic {
  DiagId id;
  Severity severity;
  SourceRange range;
  std::string message;
  std::string hint;        // "" for none
  std::vector<Note> notes; // what the reporter added
  std::vector<Note> trace; // the instantiations that were open, innermost first
};

namespace detail {

using Text = std::string_view;

template <class... Params> struct ParamList {
  static constexpr size_t count = sizeof...(Params);
  using Tuple = std::tuple<Params...>;
};

template <DiagId> struct Signature;
#define DIAG(name, severity, message, ...)                                                                             \
  template <> struct Signature<DiagId::name> {                                                                         \
    using Params = ParamList<__VA_ARGS__>;                                                                             \
    static constexpr std::string_view text = message;                                                                  \
  };
#include "compiler/diag/diagnostics.def"

/// One more than the largest {n} of the message, or SIZE_MAX where some {m} below it is missing.
constexpr size_t placeholderCount(std::string_view message) {
  bool seen[10] = {};
  size_t count = 0;
  for (size_t i = 0; i + 2 < message.size(); ++i) {
    if (message[i] == '{' && message[i + 1] >= '0' && message[i + 1] <= '9' && message[i + 2] == '}') {
      auto n = static_cast<size_t>(message[i + 1] - '0');
      seen[n] = true;
      count = n + 1 > count ? n + 1 : count;
    }
  }
  for (size_t n = 0; n < count; ++n) {
    if (!seen[n]) {
      return SIZE_MAX;
    }
  }
  return count;
}
#define DIAG(name, severity, message, ...)                                                                             \
  static_assert(placeholderCount(message) == Signature<DiagId::name>::Params::count,                                   \
                "the row " #name " has as many parameters as placeholders");
#include "compiler/diag/diagnostics.def"

template <class Param, class Arg> constexpr bool accepts() {
  using A = std::remove_cvref_t<Arg>;
  if constexpr (std::is_same_v<Param, Text>) {
    return std::is_convertible_v<const A&, std::string_view>;
  } else {
    return std::is_integral_v<A> && !std::is_same_v<A, bool> && !std::is_same_v<A, char>;
  }
}

template <class Arg> std::string spell(const Arg& arg) {
  if constexpr (std::is_integral_v<Arg>) {
    return std::to_string(arg);
  } else {
    return std::string(std::string_view(arg));
  }
}

template <class Params, class... Args, size_t... I> constexpr bool acceptsAll(std::index_sequence<I...>) {
  return (accepts<std::tuple_element_t<I, typename Params::Tuple>, Args>() && ...);
}

} // namespace detail

class Diagnostics;

/// Adds to a diagnostic that was just reported. Use it in the same full expression.
class DiagBuilder {
public:
  /// A second place, or a further sentence (invalid range). Lower case, no full stop.
  DiagBuilder& note(SourceRange range, std::string text);
  /// What to do about it; printed after "; " behind the message. The last one counts.
  DiagBuilder& hint(std::string text);

private:
  friend class Diagnostics;
  explicit DiagBuilder(Diagnostic& diagnostic) : diagnostic_(diagnostic) {}
  Diagnostic& diagnostic_;
};

class Diagnostics {
public:
  /// How many are rendered in full; the rest is a count.
  static constexpr size_t kMaxRendered = 20;

  explicit Diagnostics(const Sources& sources) : sources_(sources) {}
  Diagnostics(const Diagnostics&) = delete;
  Diagnostics& operator=(const Diagnostics&) = delete;

  const Sources& sources() const { return sources_; }

  /// Reports at `range`, with the open instantiations as its trace.
  template <DiagId Id, class... Args> DiagBuilder report(SourceRange range, const Args&... args) {
    using Params = typename detail::Signature<Id>::Params;
    static_assert(sizeof...(Args) == Params::count, "as many arguments as the row in diagnostics.def has parameters");
    if constexpr (sizeof...(Args) == Params::count) {
      static_assert(detail::acceptsAll<Params, Args...>(std::index_sequence_for<Args...>{}),
                    "arguments of the types that the row in diagnostics.def declares");
    }
    return DiagBuilder(add(Id, range, {detail::spell(args)...}));
  }

  bool hasErrors() const { return errors_ != 0; }
  size_t errorCount() const { return errors_; }
  /// In the order in which they were reported. At most kMaxStored; the counts go on.
  const std::deque<Diagnostic>& all() const { return stored_; }

  /// Sorted by position (the outermost place of the trace first), without repetitions.
  std::vector<const Diagnostic*> sorted() const;
  /// Text for a person: each diagnostic with its source line and caret, then its notes. Ends with a newline, or "".
  std::string render() const;
  /// For tools: a JSON array of {severity, name, message, hint, file, line, column, endLine, endColumn, notes}.
  std::string renderJson() const;

  /// An instantiation that is open: a note of every diagnostic that is reported before the scope ends.
  class TraceScope {
  public:
    /// `text`: "in the call of `Dense(out = 10)`". `range`: the call.
    TraceScope(Diagnostics& diags, SourceRange range, std::string text);
    ~TraceScope();
    TraceScope(const TraceScope&) = delete;
    TraceScope& operator=(const TraceScope&) = delete;

  private:
    Diagnostics& diags_;
  };

private:
  /// A run that reports more has lost its way; further ones are only counted.
  static constexpr size_t kMaxStored = 1000;

  Diagnostic& add(DiagId id, SourceRange range, std::vector<std::string> args);

  const Sources& sources_;
  std::deque<Diagnostic> stored_;
  Diagnostic overflow_{};
  std::vector<Note> trace_;
  size_t errors_ = 0;
  size_t dropped_ = 0;
};

/// "shape_mismatch", as in diagnostics.def.
std::string_view nameOf(DiagId id);

} // namespace dnn::diag
