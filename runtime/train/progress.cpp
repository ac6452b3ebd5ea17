#include "runtime/train/progress.h"

#include "runtime/support/text.h"
#include "runtime/train/clock.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <sys/ioctl.h>
#include <unistd.h>

namespace dnn::runtime {

namespace {

constexpr double liveInterval = 0.1;   // seconds between changes of the live line
constexpr double plainInterval = 10.0; // seconds between plain lines within an epoch

size_t terminalWidth() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

} // namespace

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(!quiet && isatty(STDOUT_FILENO) == 1) {}

void Progress::start(const Totals& totals, uint64_t stepsDone) {
  totals_ = totals;
  firstStep_ = stepsDone;
  startTime_ = secondsNow();
  nextUpdate_ = quiet_ ? 1e300 : startTime_ + (terminal_ ? liveInterval : plainInterval);
}

void Progress::update(double now, uint64_t epoch, uint64_t position, uint64_t stepsDone,
                      const std::vector<Metric>& metrics) {
  double elapsed = std::max(now - startTime_, 1e-9);
  auto doneHere = static_cast<double>(stepsDone - firstStep_);
  std::string text =
      format("%sepoch %llu/%llu  step %llu/%llu", prefix().c_str(), static_cast<unsigned long long>(epoch),
             static_cast<unsigned long long>(totals_.epochs), static_cast<unsigned long long>(position),
             static_cast<unsigned long long>(totals_.stepsPerEpoch));
  for (const Metric& metric : metrics) {
    text += metric.values.empty() ? "  " + runtime::text(metric) : "";
  }
  if (totals_.examplesPerEpoch > 0) {
    double perStep = static_cast<double>(totals_.examplesPerEpoch) / static_cast<double>(totals_.stepsPerEpoch);
    text += "  " + grouped(static_cast<uint64_t>(doneHere * perStep / elapsed)) + " examples/s";
  }
  double left = doneHere > 0 ? elapsed / doneHere * static_cast<double>(totals_.steps - stepsDone) : 0;
  text += "  " + duration(left) + " left";
  if (terminal_) {
    text.resize(std::min(text.size(), terminalWidth() - 1));
    std::printf("\r%s\x1b[K", text.c_str());
    live_ = true;
    nextUpdate_ = now + liveInterval;
  } else {
    std::puts(text.c_str());
    nextUpdate_ = now + plainInterval;
  }
  std::fflush(stdout);
}

void Progress::epoch(uint64_t epoch, double seconds, const std::vector<Metric>& metrics) {
  // Thousands of short epochs show every n-th; which ones does not depend on the clock.
  uint64_t stride = totals_.epochs <= 50 ? 1 : (totals_.epochs + 19) / 20;
  if (quiet_ || (epoch % stride != 0 && epoch != totals_.epochs)) {
    return;
  }
  std::string all = format("%llu", static_cast<unsigned long long>(totals_.epochs));
  std::string text = format("%sepoch %*llu/%s", prefix().c_str(), static_cast<int>(all.size()),
                            static_cast<unsigned long long>(epoch), all.c_str());
  for (const Metric& metric : metrics) {
    text += metric.values.empty() ? "  " + runtime::text(metric) : "";
  }
  line("%s  %s", text.c_str(), duration(seconds).c_str());
}

void Progress::line(const char* format, ...) {
  if (quiet_) {
    return;
  }
  clear();
  va_list arguments;
  va_start(arguments, format);
  std::vprintf(format, arguments);
  va_end(arguments);
  std::putchar('\n');
  std::fflush(stdout);
}

void Progress::clear() {
  if (live_) {
    std::printf("\r\x1b[K");
    std::fflush(stdout);
    live_ = false;
  }
}

} // namespace dnn::runtime
