#include "compiler/schedule/candidates.h"

#include <algorithm>
#include <iterator>

namespace dnn::schedule {

namespace {

template <class... Cases> struct Overloaded : Cases... {
  using Cases::operator()...;
};

double cyclesOfPlan(const Plan& plan) {
  return std::visit([](const auto& p) { return p.cycles; }, plan);
}

} // namespace

Candidates::Candidates(const Analysis& analysis, const Machine& machine, Sums sums, LongSums longSums)
    : analysis_(analysis), machine_(machine), window_(windowShape(analysis, machine)) {
  bool worthwhile = window_.has_value();
  if (worthwhile) {
    addWindows(sums);
  }
  std::ranges::move(contractionPlans(analysis, machine), std::back_inserter(plans_));
  if (!worthwhile && longSums == LongSums::All) {
    window_ = windowShape(analysis, machine, longSums);
    if (window_) {
      addWindows(sums);
    }
  }
}

Candidates::Candidates(const Analysis& analysis, const Machine& machine, Sums sums, std::vector<int64_t> groups)
    : analysis_(analysis), machine_(machine), window_(windowShape(analysis, machine)) {
  if (window_ && !window_->blocks) {
    window_->windows = std::move(groups);
    addWindows(sums);
  }
}

void Candidates::addWindows(Sums sums) {
  std::vector<WindowPlan> direct = windowPlans(*window_, analysis_, machine_);
  if (direct.empty()) {
    return;
  }
  auto first = static_cast<std::ptrdiff_t>(plans_.size());
  if (sums == Sums::Fast) {
    winograd_ = winogradShape(*window_, analysis_);
    if (winograd_ && !window_->windows.empty()) {
      std::ranges::copy_if(winogradPlans(*window_, *winograd_, analysis_, machine_), std::back_inserter(plans_),
                           [&](const WinogradPlan& plan) {
                             return window_->holdsWindows(
                                 {{winograd_->dims[0], plan.outputs}, {winograd_->dims[1], plan.outputs}});
                           });
    } else if (winograd_) {
      std::ranges::move(winogradPlans(*window_, *winograd_, analysis_, machine_), std::back_inserter(plans_));
    } else {
      std::ranges::move(winogradSumsPlans(*window_, analysis_, machine_), std::back_inserter(plans_));
    }
  }
  auto merge = [&](auto&& more) {
    auto middle = static_cast<std::ptrdiff_t>(plans_.size());
    std::ranges::move(more, std::back_inserter(plans_));
    std::inplace_merge(plans_.begin() + first, plans_.begin() + middle, plans_.end(),
                       [](const Plan& a, const Plan& b) { return cyclesOfPlan(a) < cyclesOfPlan(b); });
  };
  merge(direct);
  merge(windowLanesPlans(*window_, analysis_, machine_));
}

double Candidates::cycles(size_t number) const { return cyclesOfPlan(plans_[number]); }

std::string Candidates::kind(size_t number) const {
  return std::visit(
      Overloaded{
          [&](const WindowPlan& p) {
            std::string way = !p.trimmed.empty() ? "places left out" : window_->blocks ? "blocks" : "direct";
            return way + " " + std::to_string(p.vectors);
          },
          [](const WindowLanesPlan& p) { return std::string(p.trimmed.empty() ? "lanes" : "lanes, places left out"); },
          [](const WinogradPlan& p) { return "Winograd " + std::to_string(p.outputs); },
          [](const WinogradSumsPlan&) { return std::string("Winograd sums"); },
          [&](const ContractionPlan& p) {
            if (window_) {
              return std::string("contraction");
            }
            ContractionPlan tile = p;
            tile.rows = tile.columns = 1;
            return print(tile);
          }},
      plans_[number]);
}

std::string Candidates::text(size_t number) const {
  return std::visit(Overloaded{
                        [&](const WindowPlan& p) { return (window_->blocks ? "blocks, " : "direct, ") + print(p); },
                        [](const WindowLanesPlan& p) { return print(p); },
                        [](const WinogradPlan& p) { return "Winograd " + print(p); },
                        [](const WinogradSumsPlan& p) { return "Winograd " + print(p); },
                        [](const ContractionPlan& p) { return print(p); },
                    },
                    plans_[number]);
}

std::optional<Schedule> Candidates::schedule(size_t number) const {
  return std::visit(
      Overloaded{
          [&](const WindowPlan& p) { return scheduleWindow(analysis_, machine_, *window_, p); },
          [&](const WindowLanesPlan& p) { return scheduleWindowLanes(analysis_, machine_, *window_, p); },
          [&](const WinogradPlan& p) { return scheduleWinograd(analysis_, machine_, *window_, *winograd_, p); },
          [&](const WinogradSumsPlan& p) { return scheduleWinogradSums(analysis_, machine_, *window_, p); },
          [&](const ContractionPlan& p) { return scheduleContraction(analysis_, machine_, p); },
      },
      plans_[number]);
}

} // namespace dnn::schedule
