#include "compiler/driver/pipeline.h"

#include "compiler/build/build_graph.h"
#include "compiler/driver/data_files.h"
#include "compiler/driver/exit_code.h"
#include "compiler/support/object_memory.h"
#include "compiler/transform/pass_manager.h"

#include <charconv>
#include <chrono>
#include <cstdio>

namespace dnn::driver {

namespace {

/// The place that "m.dnn:4:7" names; invalid where it names none.
diag::SourceRange findPlace(const diag::Sources& sources, std::string_view where) {
  auto number = [](std::string_view text) {
    uint32_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  };
  size_t columnColon = where.rfind(':');
  size_t lineColon =
      columnColon == 0 || columnColon == std::string_view::npos ? columnColon : where.rfind(':', columnColon - 1);
  if (columnColon == std::string_view::npos || lineColon == std::string_view::npos) {
    return {};
  }
  uint32_t line = number(where.substr(lineColon + 1));
  uint32_t column = number(where.substr(columnColon + 1));
  for (uint32_t i = 0; i < sources.count(); ++i) {
    diag::FileId file{i};
    if (sources.name(file) != where.substr(0, lineColon) || line == 0 || column == 0) {
      continue;
    }
    uint32_t begin = sources.lineBegin(file, line);
    std::string_view text = sources.line(file, line);
    uint32_t byte = 0; // columns count code points
    for (uint32_t seen = 1; byte < text.size() && seen < column; ++seen) {
      do {
        ++byte;
      } while (byte < text.size() && (static_cast<unsigned char>(text[byte]) & 0xC0) == 0x80);
    }
    return {file, begin + byte, begin + byte + 1};
  }
  return {};
}

int failInternally(const char* what, const Error& error) {
  std::fprintf(stderr, "dnnc: internal error: %s: %s%s%s; please report this with the input\n", what,
               error.where.c_str(), error.where.empty() ? "" : ": ", error.message.c_str());
  return kInternalError;
}

} // namespace

Pipeline::Pipeline(const Options& options, size_t combination)
    : options_(options), combination_(combination), diags_(sources_) {
  keepObjectMemory(); // trees and graphs are small objects, too
}

int Pipeline::runTo(Stage last) {
  int code = runSilently(last);
  report();
  return code;
}

void Pipeline::report() { std::fputs(messages().c_str(), stderr); }

ProgramInputs Pipeline::inputs() const {
  ProgramInputs inputs{{}, asked_, messages()};
  for (diag::FileId file : loaded_.userFiles) {
    inputs.files.push_back(sourceText(sources_, file));
  }
  return inputs;
}

int Pipeline::runStages(Stage last) {
  // Parse. The user's file, what it imports, and the library. Only a main file that cannot be read ends the run without
  // a diagnostic: there is no place to point at.
  Result<LoadedFiles> loaded = Error{};
  timed("parse", [&] { loaded = loadFiles(options_.file, sources_, diags_); });
  if (!loaded) {
    std::fprintf(stderr, "dnnc: %s\n", loaded.error().message.c_str());
    return kIoError;
  }
  if (diags_.hasErrors()) {
    return kInputError;
  }
  loaded_ = std::move(*loaded);
  if (last == Stage::Parse) {
    return kSuccess;
  }

  // Analyze. Everything that the user can have done wrong is found here, except for paths without a derivative: the
  // stages behind this one see a program without names, statics, packs or layers.
  timed("analyze", [&] { analyze(); });
  if (diags_.hasErrors()) {
    return kInputError;
  }
  if (!program_) {
    if (options_.command == Command::Check) {
      return kSuccess;
    }
    std::fprintf(stderr, "dnnc: %s has no train block, so there is nothing to %s; `dnnc check` checks libraries\n",
                 options_.file.c_str(), options_.command == Command::Emit ? "print" : "run");
    return kInputError;
  }
  if (last == Stage::Analyze) {
    return kSuccess;
  }

  // Build. Reductions come out of expressions, guards become selects; gradients are still single `grad` operations.
  timed("build", [&] { module_ = build::buildGraph(*program_, sources_); });
  if (Status status = graph::verify(*module_); !status.ok()) {
    return failInternally("the graph as built is wrong", status.error());
  }
  if (last == Stage::Build) {
    return kSuccess;
  }

  // Differentiate. Before anything is rewritten, so that an operation without a derivative still is the one that the
  // user wrote, at its line.
  transform::PassOptions passes;
  passes.verifyEach = options_.verifyEach;
  passes.time = options_.timePasses;
  passes.observe = [this](const transform::PassReport& report) { notePart(report.pass->flag, report.seconds); };
  Status differentiated = success();
  timed("differentiate", [&] { differentiated = transform::differentiateAll(*module_, passes); });
  if (!differentiated) {
    const Error& error = differentiated.error();
    diags_.report<diag::DiagId::not_differentiable>(findPlace(sources_, error.where), error.message);
    return kInputError;
  }
  if (last == Stage::Differentiate) {
    return kSuccess;
  }

  // Optimize. Forward and backward together: what they share is computed once.
  Status optimized = success();
  timed("optimize", [&] { optimized = transform::optimize(*module_, passes); });
  if (!optimized) {
    return failInternally("a pass failed", optimized.error());
  }
  if (last == Stage::Optimize) {
    return kSuccess;
  }

  // Fuse. Last, because groups are walls: nothing is simplified across them.
  Status fused = success();
  timed("fuse", [&] {
    const transform::Pass* fuse = transform::findPass("fuse");
    auto reports = transform::runPasses(*module_, {&fuse, 1}, passes);
    fused = reports ? success() : Status(reports.error());
  });
  return fused ? kSuccess : failInternally("fusion failed", fused.error());
}

void Pipeline::analyze() {
  std::string folder = folderOf(options_.file);
  FileProbe files(folder);
  RecordedProbe probe(files, asked_);
  sema::Options options{options_.program, options_.seed, dataPaths(options_), combination_};
  program_ = sema::analyze(loaded_.pointers(), options, probe, diags_).program;
  if (program_) {
    program_->plan.directory = folder;
  }
}

void Pipeline::timed(const std::string& stage, const std::function<void()>& work) {
  auto begin = std::chrono::steady_clock::now();
  firstPart_ = durations_.size();
  work();
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  durations_.insert(durations_.begin() + static_cast<std::ptrdiff_t>(firstPart_), {stage, seconds, 1, false});
}

void Pipeline::notePart(std::string_view name, double seconds) {
  // Repetitions in a stage's fixpoint add up.
  for (size_t i = firstPart_; i < durations_.size(); ++i) {
    if (durations_[i].what == name) {
      durations_[i].seconds += seconds;
      ++durations_[i].runs;
      return;
    }
  }
  durations_.push_back({std::string(name), seconds, 1, true});
}

Pipeline::~Pipeline() {
  if (!options_.timePasses) {
    return;
  }
  double total = 0;
  for (const Duration& d : durations_) {
    std::string runs = d.runs > 1 ? " (" + std::to_string(d.runs) + " runs)" : "";
    std::fprintf(stderr, "%10.3f ms  %s%s%s\n", d.seconds * 1e3, d.isPart ? "  " : "", d.what.c_str(), runs.c_str());
    total += d.isPart ? 0 : d.seconds;
  }
  std::fprintf(stderr, "%10.3f ms  total\n", total * 1e3);
}

} // namespace dnn::driver
