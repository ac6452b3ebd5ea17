// What a run tells: the events of its log and the summary at its end.
#include "runtime/train/trainer.h"

#include "runtime/pool/pool.h"
#include "runtime/support/text.h"

#include <algorithm>

namespace dnn::runtime {

namespace {

unsigned long long u(uint64_t value) { return value; }

} // namespace

void Trainer::logStart() {
  events_.begin("start");
  events_.field("program", plan_.program);
  logPhase();
  events_.field("seed", state_.seed);
  events_.field("epoch", state_.epoch);
  events_.field("step", state_.step);
  events_.field("threads", static_cast<uint64_t>(Pool::global().threads()));
  events_.field("examples", state_.rows.empty() ? uint64_t{0} : state_.rows[0]);
  events_.end();
}

void Trainer::logPhase() {
  if (severalPhases()) {
    events_.field("phase", phase().name);
  }
}

void Trainer::logStep(const plan::Entry& entry, uint64_t rows) {
  events_.begin("step");
  logPhase();
  events_.field("epoch", state_.epoch + 1);
  events_.field("step", state_.step);
  events_.field("rows", rows);
  std::vector<double> numbers(loggedNumbers(entry));
  std::vector<double> weights(entry.outputs.size());
  addOutputs(machine_, entry, 0, numbers.data(), weights.data());
  events_.fields(averages(entry, "", numbers.data(), weights.data()));
  events_.end();
}

void Trainer::noteLogs(const std::vector<Metric>& metrics) {
  for (const Metric& metric : metrics) {
    auto found = std::ranges::find(logged_, metric.name, &Metric::name);
    if (found != logged_.end()) {
      *found = metric;
    } else {
      logged_.push_back(metric);
    }
  }
}

void Trainer::tellUnfinished() {
  std::vector<Metric> metrics = stepAverages([](const plan::Port&) { return true; });
  if (metrics.empty()) {
    return;
  }
  noteLogs(metrics);
  progress_.line("step %llu  %s", u(state_.step), text(metrics).c_str());
  logMetrics("log", metrics);
}

void Trainer::logMetrics(const char* event, const std::vector<Metric>& metrics) {
  if (events_.isOpen()) {
    events_.begin(event);
    logPhase();
    events_.field("epoch", state_.epoch + 1);
    events_.field("step", state_.step);
    events_.fields(metrics);
    events_.end();
  }
}

Status Trainer::logEvaluation(const std::vector<Metric>& metrics, const std::vector<Picture>& pictures) {
  if (!events_.isOpen()) {
    return success();
  }
  logMetrics("eval", metrics);
  if (Status status = logPictures(pictures, format("step%06llu", u(state_.step))); !status.ok()) {
    return status;
  }
  return events_.flush();
}

Status Trainer::logPictures(const std::vector<Picture>& pictures, const std::string& number) {
  for (const Picture& picture : pictures) {
    std::string stem = events_.path();
    if (size_t dot = stem.rfind('.'); dot != std::string::npos && stem.find('/', dot) == std::string::npos) {
      stem.resize(dot);
    }
    std::string path = format("%s.%s.%s.png", stem.c_str(), picture.name.c_str(), number.c_str());
    if (Status status = writePng(path, picture); !status.ok()) {
      return status;
    }
    events_.begin("image");
    logPhase();
    events_.field("epoch", state_.epoch);
    events_.field("step", state_.step);
    events_.field("name", picture.name);
    events_.field("path", path);
    events_.end();
  }
  return success();
}

void Trainer::noteEvaluation(uint32_t entry, const std::vector<Metric>& metrics) {
  for (const Metric& metric : metrics) {
    auto same = [&](const Metric& other) { return other.name == metric.name; };
    auto found = std::find_if(latest_.begin(), latest_.end(), same);
    if (found != latest_.end()) {
      *found = metric;
    } else {
      latest_.push_back(metric);
    }
  }
  auto sameEntry = [&](const auto& other) { return other.first == entry; };
  auto at = std::find_if(evaluatedAt_.begin(), evaluatedAt_.end(), sameEntry);
  if (at != evaluatedAt_.end()) {
    at->second = state_.step;
  } else {
    evaluatedAt_.emplace_back(entry, state_.step);
  }
}

std::vector<Metric> Trainer::results() const {
  std::vector<Metric> all = logged_;
  all.insert(all.end(), latest_.begin(), latest_.end());
  return all;
}

void Trainer::logEnd(const char* reason) {
  if (events_.isOpen()) {
    events_.begin("end");
    events_.field("reason", std::string(reason));
    logPhase();
    events_.field("epoch", state_.epoch);
    events_.field("step", state_.step);
    events_.field("seconds", seconds_);
    events_.fields(latest_);
    events_.end();
  }
}

void Trainer::summarize() {
  uint64_t steps = state_.step - firstStep_;
  uint64_t epochs = state_.phaseEpoch + state_.epoch;
  if (steps == 0) {
    progress_.line("nothing to do: %llu epochs and %llu steps are done already", u(epochs), u(state_.step));
  } else {
    std::string rate;
    if (examplesDone_ > 0) {
      rate = grouped(static_cast<uint64_t>(static_cast<double>(examplesDone_) / seconds_)) + " examples/s, ";
    }
    progress_.line("trained %s: %s epochs, %s steps in %s (%s%.0f%% of the time waiting for data)",
                   plan_.program.c_str(), grouped(epochs).c_str(), grouped(steps).c_str(), duration(seconds_).c_str(),
                   rate.c_str(), 100 * waitSeconds_ / seconds_);
  }
  if (outOfPatience()) {
    progress_.line("stopped early: %s was best after epoch %llu", phase().patience.metric.c_str(),
                   u(state_.patience.epoch));
  }
  if (state_.ended) {
    progress_.line("the parameters are those after epoch %llu, with the best %s", u(state_.patience.epoch),
                   phase().patience.metric.c_str());
  }
  std::string results = text(latest_);
  if (!results.empty()) {
    progress_.line("%s", results.c_str());
  }
  if (state_.best.found) {
    progress_.line("best %s after epoch %llu", text({plan_.checkpoint.best, state_.best.value, {}}).c_str(),
                   u(state_.best.epoch));
  }
  if (saved_) {
    progress_.line("checkpoint %s", checkpoint_.c_str());
  }
}

} // namespace dnn::runtime
