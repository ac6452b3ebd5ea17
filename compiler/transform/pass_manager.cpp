#include "compiler/transform/pass_manager.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iterator>

namespace dnn::transform {

namespace {

constexpr Pass passTable[] = {
#define PASS(function, flag, summary) {flag, summary, function},
#include "compiler/transform/passes.def"
};

/// The wrapper: every pass runs in here and nowhere else.
class Runner {
public:
  Runner(graph::Module& module, const PassOptions& options) : module_(module), options_(options) {}

  Status verify(std::string_view when) {
    if (!options_.verifyEach) {
      return success();
    }
    Status status = graph::verify(module_);
    if (!status) {
      return Error{std::string(when) + " the graph does not verify: " + status.error().message, status.error().where};
    }
    return success();
  }

  Result<Changed> run(const Pass& pass) {
    auto start = std::chrono::steady_clock::now();
    Result<Changed> changed = pass.run(module_);
    if (!changed) {
      return changed;
    }
    if (*changed == Changed::Yes) {
      for (const auto& function : module_.functions) {
        graph::refreshRegions(*function); // what scans capture follows from the uses
      }
    }
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    reports.push_back({&pass, *changed, options_.time ? seconds : 0});
    if (options_.observe) {
      options_.observe(reports.back());
    }
    dump(pass);
    if (Status status = verify("after the pass `" + std::string(pass.flag) + "`"); !status) {
      return status.error();
    }
    return changed;
  }

  std::vector<PassReport> reports;

private:
  void dump(const Pass& pass) {
    if (options_.dumpAfter != pass.flag && options_.dumpAfter != "all") {
      return;
    }
    std::string text = "// after " + std::string(pass.flag) + "\n" + graph::print(module_) + "\n";
    if (options_.dump) {
      options_.dump(text);
    } else {
      std::fwrite(text.data(), 1, text.size(), stderr);
    }
  }

  graph::Module& module_;
  const PassOptions& options_;
};

} // namespace

std::span<const Pass> allPasses() { return passTable; }

const Pass* findPass(std::string_view flag) {
  const Pass* found = std::ranges::find(passTable, flag, &Pass::flag);
  return found == std::end(passTable) ? nullptr : found;
}

Result<std::vector<const Pass*>> parsePassList(std::string_view flags) {
  std::vector<const Pass*> passes;
  while (!flags.empty()) {
    std::string_view flag = flags.substr(0, flags.find(','));
    flags.remove_prefix(std::min(flags.size(), flag.size() + 1));
    const Pass* pass = findPass(flag);
    if (pass == nullptr) {
      std::string known;
      for (const Pass& row : passTable) {
        known += (known.empty() ? "" : ", ") + std::string(row.flag);
      }
      return Error{"there is no pass `" + std::string(flag) + "`; the passes are " + known, ""};
    }
    passes.push_back(pass);
  }
  return passes;
}

Result<std::vector<PassReport>> runPasses(graph::Module& module, std::span<const Pass* const> passes,
                                          const PassOptions& options) {
  Runner runner(module, options);
  if (Status status = runner.verify("before the first pass"); !status) {
    return status.error();
  }
  for (const Pass* pass : passes) {
    if (Result<Changed> changed = runner.run(*pass); !changed) {
      return changed.error();
    }
  }
  return std::move(runner.reports);
}

Result<std::vector<PassReport>> runToFixpoint(graph::Module& module, std::span<const Pass* const> passes,
                                              const PassOptions& options, int limit) {
  Runner runner(module, options);
  if (Status status = runner.verify("before the first pass"); !status) {
    return status.error();
  }
  // A pass is left out while nothing has changed since it last ran: then it would find nothing.
  size_t unchanged = 0;
  for (size_t i = 0; unchanged < passes.size() && i < passes.size() * static_cast<size_t>(limit); ++i) {
    Result<Changed> changed = runner.run(*passes[i % passes.size()]);
    if (!changed) {
      return changed.error();
    }
    unchanged = *changed == Changed::Yes ? 0 : unchanged + 1;
  }
  return std::move(runner.reports);
}

std::string printTimes(std::span<const PassReport> reports) {
  std::string text;
  double total = 0;
  char line[128];
  auto add = [&](double seconds, std::string_view what) {
    std::snprintf(line, sizeof line, "%9.3f ms  %.*s\n", seconds * 1e3, static_cast<int>(what.size()), what.data());
    text += line;
  };
  for (const Pass& pass : passTable) {
    double seconds = 0;
    int runs = 0;
    for (const PassReport& report : reports) {
      seconds += report.pass == &pass ? report.seconds : 0;
      runs += report.pass == &pass ? 1 : 0;
    }
    if (runs > 0) {
      add(seconds, std::string(pass.flag) + (runs > 1 ? " (" + std::to_string(runs) + " runs)" : ""));
      total += seconds;
    }
  }
  add(total, "total");
  return text;
}

} // namespace dnn::transform
