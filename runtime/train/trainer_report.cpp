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
  events_.field("seed", state_.seed);
  events_.field("epoch", state_.epoch);
  events_.field("step", state_.step);
  events_.field("threads", static_cast<uint64_t>(Pool::global().threads()));
  events_.field("examples", state_.rows);
  events_.end();
}

void Trainer::logStep(uint64_t rows) {
  if (events_.isOpen()) {
    events_.begin("step");
    events_.field("epoch", state_.epoch + 1);
    events_.field("step", state_.step);
    events_.field("rows", rows);
    for (const plan::Port& port : plan_.entries[stepEntry_].outputs) {
      events_.field(port.name.c_str(), readScalar(machine_, port));
    }
    events_.end();
  }
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

void Trainer::logEnd(const char* reason) {
  if (events_.isOpen()) {
    events_.begin("end");
    events_.field("reason", std::string(reason));
    events_.field("epoch", state_.epoch);
    events_.field("step", state_.step);
    events_.field("seconds", seconds_);
    events_.fields(latest_);
    events_.end();
  }
}

void Trainer::summarize() {
  uint64_t steps = state_.step - firstStep_;
  if (steps == 0) {
    progress_.line("nothing to do: %llu epochs and %llu steps are done already", u(state_.epoch), u(state_.step));
  } else {
    std::string rate;
    if (examplesDone_ > 0) {
      rate = grouped(static_cast<uint64_t>(static_cast<double>(examplesDone_) / seconds_)) + " examples/s, ";
    }
    progress_.line("trained %s: %s epochs, %s steps in %s (%s%.0f%% of the time waiting for data)",
                   plan_.program.c_str(), grouped(state_.epoch).c_str(), grouped(steps).c_str(),
                   duration(seconds_).c_str(), rate.c_str(), 100 * waitSeconds_ / seconds_);
  }
  if (outOfPatience()) {
    progress_.line("stopped early: %s was best after epoch %llu", plan_.patience.metric.c_str(),
                   u(state_.patience.epoch));
  }
  std::string results;
  for (const Metric& metric : latest_) {
    results += (results.empty() ? "" : "  ") + text(metric);
  }
  if (!results.empty()) {
    progress_.line("%s", results.c_str());
  }
  if (state_.best.found) {
    progress_.line("best %s after epoch %llu", text({plan_.checkpoint.best, state_.best.value}).c_str(),
                   u(state_.best.epoch));
  }
  if (saved_) {
    progress_.line("checkpoint %s", checkpoint_.c_str());
  }
}

} // namespace dnn::runtime
