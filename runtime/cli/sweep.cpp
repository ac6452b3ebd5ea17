#include "runtime/cli/sweep.h"

#include "runtime/machine/machine.h"
#include "runtime/support/text.h"
#include "runtime/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace dnn::runtime {

namespace {

/// Values of one metric, over the seeds of a row of the table.
struct Cell {
  std::string metric;
  std::vector<double> values;
};

struct Row {
  std::string settings; // without the seed
  size_t runs = 0;
  size_t diverged = 0;
  std::vector<Cell> cells;
};

std::string joined(const std::vector<plan::Setting>& settings, bool withSeed) {
  std::string text;
  for (const plan::Setting& setting : settings) {
    if (withSeed || setting.name != "seed") {
      text += (text.empty() ? "" : ", ") + setting.name + " = " + setting.value;
    }
  }
  return text;
}

std::string number(double value) {
  double size = std::fabs(value);
  return size == 0 || (size >= 1e-3 && size < 1000) ? format("%.4f", value) : format("%.4g", value);
}

/// The mean, and with several values the deviation of a sample.
std::string spread(const std::vector<double>& values) {
  if (values.empty()) {
    return "-";
  }
  double mean = 0;
  for (double value : values) {
    mean += value / static_cast<double>(values.size());
  }
  double squares = 0;
  for (double value : values) {
    squares += (value - mean) * (value - mean);
  }
  return values.size() == 1
             ? number(mean)
             : number(mean) + " ± " + number(std::sqrt(squares / static_cast<double>(values.size() - 1)));
}

size_t width(const std::string& text) { // in characters, of UTF-8
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

void printTable(const std::vector<Row>& rows) {
  std::vector<std::string> metrics;
  bool several = false;
  bool diverged = false;
  for (const Row& row : rows) {
    several = several || row.runs > 1;
    diverged = diverged || row.diverged > 0;
    for (const Cell& cell : row.cells) {
      if (std::find(metrics.begin(), metrics.end(), cell.metric) == metrics.end()) {
        metrics.push_back(cell.metric);
      }
    }
  }
  std::vector<std::vector<std::string>> table = {{""}};
  if (several) {
    table[0].push_back("runs");
  }
  table[0].insert(table[0].end(), metrics.begin(), metrics.end());
  if (diverged) {
    table[0].push_back("diverged");
  }
  for (const Row& row : rows) {
    std::vector<std::string>& line = table.emplace_back();
    line.push_back(row.settings.empty() ? "all" : row.settings);
    if (several) {
      line.push_back(format("%zu", row.runs));
    }
    for (const std::string& metric : metrics) {
      auto cell = std::find_if(row.cells.begin(), row.cells.end(), [&](const Cell& c) { return c.metric == metric; });
      line.push_back(cell == row.cells.end() ? "-" : spread(cell->values));
    }
    if (diverged) {
      line.push_back(format("%zu", row.diverged));
    }
  }
  std::vector<size_t> widths(table[0].size(), 0);
  for (const auto& line : table) {
    for (size_t i = 0; i < line.size(); ++i) {
      widths[i] = std::max(widths[i], width(line[i]));
    }
  }
  for (const auto& line : table) {
    std::string text;
    for (size_t i = 0; i < line.size(); ++i) {
      std::string padding(widths[i] - width(line[i]), ' ');
      text += i == 0 ? line[i] + padding : "  " + padding + line[i];
    }
    std::printf("%s\n", text.c_str());
  }
  std::fflush(stdout);
}

void note(Row& row, const std::vector<Metric>& metrics) {
  for (const Metric& metric : metrics) {
    if (!metric.values.empty()) {
      continue;
    }
    auto cell =
        std::find_if(row.cells.begin(), row.cells.end(), [&](const Cell& c) { return c.metric == metric.name; });
    if (cell == row.cells.end()) {
      cell = row.cells.insert(row.cells.end(), {metric.name, {}});
    }
    cell->values.push_back(metric.value);
  }
}

} // namespace

std::string variantText(const plan::Plan& plan) { return joined(plan.variant, true); }

Status trainSweep(const DnnModule& first, const Options& options) {
  std::vector<Row> rows;
  size_t finished = 0;
  Status last;
  for (const DnnModule* module = &first; module != nullptr; module = module->next) {
    Machine machine;
    if (Status status = machine.load(*module); !status.ok()) {
      return status;
    }
    const plan::Plan& plan = machine.plan();
    bool bySeed = std::any_of(plan.variant.begin(), plan.variant.end(), [](auto& s) { return s.name == "seed"; });
    if (bySeed && options.seed) {
      return failure(ExitCode::Usage, "--seed: this program runs with the seeds of its sweep");
    }
    if (!options.quiet) {
      std::printf("%s\n", variantText(plan).c_str());
      std::fflush(stdout);
    }
    std::string settings = joined(plan.variant, false);
    auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return r.settings == settings; });
    if (row == rows.end()) {
      row = rows.insert(rows.end(), Row{settings, 0, 0, {}});
    }
    DataStore store(machine, options.data, options.dataMemory);
    Trainer trainer(machine, store, options);
    last = trainer.run();
    ++row->runs;
    if (last.code == ExitCode::Diverged) {
      ++row->diverged;
      std::fprintf(stderr, "%s: %s\n", variantText(plan).c_str(), last.message.c_str());
      continue;
    }
    if (!last.ok()) {
      return last;
    }
    ++finished;
    note(*row, trainer.results());
  }
  if (!options.quiet) {
    printTable(rows);
  }
  return finished > 0 ? success() : last;
}

Status chooseVariant(const DnnModule& first, const Options& options, const DnnModule*& chosen) {
  std::string known;
  std::string wanted = options.variant;
  std::erase(wanted, ' ');
  for (const DnnModule* module = &first; module != nullptr; module = module->next) {
    plan::Plan plan;
    std::string error;
    if (!plan::decode(module->plan, module->plan_size, plan, error)) {
      return failure(ExitCode::Internal, "%s", error.c_str());
    }
    std::string name = variantText(plan);
    std::erase(name, ' ');
    if (name == wanted) {
      chosen = module;
      return success();
    }
    known += "\n  --variant " + name;
  }
  return failure(ExitCode::Usage, "%s; the combinations are%s",
                 options.variant.empty() ? "which combination of the sweep?" : "the sweep has no such combination",
                 known.c_str());
}

} // namespace dnn::runtime
