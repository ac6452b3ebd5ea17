#include "compiler/driver/time_report.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace dnn::driver {

namespace {

double flopSeconds(const KernelWork& work, const MachineSpeed& machine) { return work.flops / machine.flops; }

double byteSeconds(const KernelWork& work, const MachineSpeed& machine) {
  double updated = work.bytes() - work.workingSet;
  return machine.secondsFor(work.bytesRead - updated, work.bytesWritten - updated, updated);
}

/// Work a second. A clock's tick at least: a kernel of a few instructions can be as short as the measuring.
double rate(double work, const Duration& time) { return work / std::max(time.shortest, 1e-9); }

std::string number(double value) {
  char text[64];
  std::snprintf(text, sizeof text, value >= 99.95 ? "%.0f" : value >= 9.995 ? "%.1f" : "%.2f", value);
  return text;
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f%%", 100 * share);
  return text;
}

using Row = std::vector<std::string>;

size_t widthOf(const std::string& text) { // in characters, of UTF-8
  return static_cast<size_t>(std::ranges::count_if(text, [](unsigned char c) { return (c & 0xC0) != 0x80; }));
}

/// Texts to the left, numbers to the right; the last column is not padded.
std::string table(const std::vector<Row>& rows, const std::vector<bool>& isText) {
  std::vector<size_t> widths(isText.size());
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], widthOf(row[i]));
    }
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      std::string padding(widths[i] - widthOf(row[i]), ' ');
      line += (i == 0 ? "" : "  ") + (isText[i] ? row[i] + padding : padding + row[i]);
    }
    line.resize(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    text += (text.empty() ? "" : ", ") + part;
  }
  return text;
}

/// The cells from the times on, of one call of a kernel or of the whole step.
Row measures(const Duration& time, double share, double flops, double bytes, double ofLimit) {
  return {number(time.shortest * 1e6),
          number(time.median * 1e6),
          percent(share),
          number(flops * 1e-6),
          number(bytes * 1e-3),
          number(rate(flops, time) * 1e-9),
          number(rate(bytes, time) * 1e-9),
          percent(ofLimit)};
}

std::string machineLine(const MachineSpeed& machine) {
  std::string text = "this machine: " + number(machine.flops * 1e-9) + " GFLOP/s";
  for (const MachineSpeed::Level& level : machine.levels) {
    text += ", " + number(std::max(level.read, level.update) * 1e-9) + " GB/s in " + level.name;
  }
  return text + "\n";
}

nlohmann::ordered_json microseconds(const Duration& time) {
  return {{"min_us", time.shortest * 1e6}, {"median_us", time.median * 1e6}};
}

/// The sum over the calls of a step of what each call of a kernel counts.
template <class F> double ofAllCalls(const TimeReport& report, F&& count) {
  double sum = 0;
  for (const TimedKernel& kernel : report.kernels) {
    sum += static_cast<double>(kernel.calls) * count(kernel);
  }
  return sum;
}

} // namespace

double TimeReport::flops() const {
  return ofAllCalls(*this, [](const TimedKernel& kernel) { return kernel.work.flops; });
}

double TimeReport::bytes() const {
  return ofAllCalls(*this, [](const TimedKernel& kernel) { return kernel.work.bytes(); });
}

double TimeReport::kernelTime() const {
  return ofAllCalls(*this, [](const TimedKernel& kernel) { return kernel.time.median; });
}

double TimeReport::betweenTime() const { return std::max(0.0, step.median - kernelTime() - copies.median); }

double TimeReport::bound(const KernelWork& work) const {
  return std::max(flopSeconds(work, machine), byteSeconds(work, machine));
}

double TimeReport::bound() const {
  return ofAllCalls(*this, [&](const TimedKernel& kernel) { return bound(kernel.work); });
}

std::string renderText(const TimeReport& report) {
  std::string text = report.file + ": step of " + report.program;
  text += report.batch > 0 ? ", batch " + std::to_string(report.batch) : "";
  text += ", " + std::to_string(report.machine.threads) + (report.machine.threads == 1 ? " thread, " : " threads, ");
  text += std::to_string(report.steps) + " steps\n" + machineLine(report.machine) + "\n";

  std::vector<Row> rows = {{"kernel", "calls", "min µs", "median µs", "share", "MFLOP", "kB", "GFLOP/s", "GB/s",
                            "of limit", "limit", "what", "from"}};
  for (const TimedKernel& kernel : report.kernels) {
    const KernelWork& work = kernel.work;
    Row row = {work.kernel, std::to_string(kernel.calls)};
    Row cells = measures(kernel.time, kernel.calls * kernel.time.median / report.step.median, work.flops, work.bytes(),
                         rate(report.bound(work), kernel.time));
    row.insert(row.end(), cells.begin(), cells.end());
    bool arithmetic = flopSeconds(work, report.machine) >= byteSeconds(work, report.machine);
    row.insert(row.end(), {arithmetic ? "FLOP" : "bytes", work.what, joined(work.sources)});
    rows.push_back(row);
  }
  auto addTime = [&](const char* name, double median) {
    rows.push_back({name, "", "", number(median * 1e6), percent(median / report.step.median)});
  };
  if (report.copies.median > 0) {
    addTime("copies", report.copies.median);
  }
  addTime("between", report.betweenTime());
  Row whole = {"step", "1"};
  Row cells = measures(report.step, 1, report.flops(), report.bytes(), rate(report.bound(), report.step));
  whole.insert(whole.end(), cells.begin(), cells.end());
  rows.push_back(whole);
  text += table(rows, {true, false, false, false, false, false, false, false, false, false, true, true, true});
  text += "\nbeside each step: next batch " + number(report.fetch.median * 1e6) + " µs, search for NaN " +
          number(report.watch.median * 1e6) + " µs\n";
  return text;
}

std::string renderJson(const TimeReport& report) {
  nlohmann::ordered_json levels = nlohmann::ordered_json::array();
  for (const MachineSpeed::Level& level : report.machine.levels) {
    levels.push_back({{"name", level.name},
                      {"bytes", level.bytes},
                      {"read_gb_s", level.read * 1e-9},
                      {"update_gb_s", level.update * 1e-9}});
  }
  nlohmann::ordered_json kernels = nlohmann::ordered_json::array();
  for (const TimedKernel& kernel : report.kernels) {
    const KernelWork& work = kernel.work;
    nlohmann::ordered_json entry = {{"kernel", work.kernel}, {"what", work.what}, {"from", work.sources}};
    entry["calls"] = kernel.calls;
    entry.update(microseconds(kernel.time));
    entry.update({{"share", kernel.calls * kernel.time.median / report.step.median},
                  {"flop", work.flops},
                  {"bytes_read", work.bytesRead},
                  {"bytes_written", work.bytesWritten},
                  {"working_set", work.workingSet},
                  {"gflop_s", rate(work.flops, kernel.time) * 1e-9},
                  {"gb_s", rate(work.bytes(), kernel.time) * 1e-9},
                  {"bound_us", report.bound(work) * 1e6},
                  {"of_limit", rate(report.bound(work), kernel.time)}});
    kernels.push_back(std::move(entry));
  }
  nlohmann::ordered_json step = microseconds(report.step);
  step.update({{"kernels_us", report.kernelTime() * 1e6},
               {"copies_us", report.copies.median * 1e6},
               {"between_us", report.betweenTime() * 1e6},
               {"flop", report.flops()},
               {"bytes", report.bytes()},
               {"bound_us", report.bound() * 1e6},
               {"of_limit", rate(report.bound(), report.step)}});
  nlohmann::ordered_json json = {{"file", report.file},
                                 {"program", report.program},
                                 {"batch", report.batch},
                                 {"threads", report.machine.threads},
                                 {"steps", report.steps},
                                 {"machine", {{"gflop_s", report.machine.flops * 1e-9}, {"levels", levels}}},
                                 {"step", step},
                                 {"fetch", microseconds(report.fetch)},
                                 {"watch", microseconds(report.watch)},
                                 {"kernels", kernels}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

} // namespace dnn::driver
