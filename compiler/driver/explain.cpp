// What a diagnostic means, for people who have met it.
#include "compiler/driver/commands.h"
#include "compiler/driver/embedded_files.h"
#include "compiler/driver/exit_code.h"
#include "compiler/sema/suggest.h"
#include "compiler/support/assert.h"

#include <cstdio>
#include <string>
#include <vector>

namespace dnn::driver {

namespace {

struct Row {
  const char* name;
  const char* message;
};
constexpr Row kDiagnostics[] = {
#define DIAG(name, severity, message, ...) {#name, message},
#include "compiler/diag/diagnostics.def"
};

/// The section behind the line `## name`; "" if there is none.
std::string_view findSection(std::string_view name) {
  std::string heading = "## " + std::string(name) + "\n";
  for (const EmbeddedFile& file : explanationFiles()) {
    size_t at = file.text.find("\n" + heading);
    if (at != std::string_view::npos) {
      size_t begin = at + 1 + heading.size();
      size_t end = file.text.find("\n## ", begin);
      return file.text.substr(begin, end == std::string_view::npos ? end : end - begin);
    }
  }
  return "";
}

/// The text as it is, then the two programs, indented under a word each.
std::string render(std::string_view section) {
  std::string out;
  const char* const titles[] = {"Wrong:", "Mended:"};
  size_t programs = 0;
  bool inProgram = false;
  while (!section.empty()) {
    size_t end = section.find('\n');
    std::string_view line = section.substr(0, end);
    section = end == std::string_view::npos ? "" : section.substr(end + 1);
    if (line.starts_with("```")) {
      inProgram = !inProgram;
      if (inProgram && programs < std::size(titles)) {
        out += std::string("\n") + titles[programs++] + "\n\n";
      }
    } else if (inProgram) {
      out += "  " + std::string(line) + "\n";
    } else if (!line.empty()) {
      out += std::string(line) + "\n";
    }
  }
  return out;
}

} // namespace

int explainCommand(const Options& options) {
  if (options.diagnostic.empty()) {
    for (const Row& row : kDiagnostics) {
      std::printf("%s\n", row.name);
    }
    return kSuccess;
  }
  std::vector<std::string> names;
  for (const Row& row : kDiagnostics) {
    names.emplace_back(row.name);
    if (options.diagnostic == row.name) {
      std::string_view section = findSection(row.name);
      DNN_ASSERT(!section.empty(), "every diagnostic is explained");
      std::printf("%s: %s\n\n%s", row.name, row.message, render(section).c_str());
      return kSuccess;
    }
  }
  std::string near = sema::didYouMean(options.diagnostic, names);
  std::fprintf(stderr, "dnnc: there is no diagnostic `%s`; %s\n", options.diagnostic.c_str(),
               near.empty() ? "`dnnc explain` lists them" : near.c_str());
  return kUsageError;
}

} // namespace dnn::driver
