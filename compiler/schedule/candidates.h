// The ways to run a kernel that is one contraction, a product of matrices or a sum over windows: all plans of all
// templates that take it, in one list. chooseSchedule takes the first one that works; bench/schedules compiles several
// and measures whether it is the fastest; tests take any.
#pragma once

#include "compiler/schedule/contraction.h"
#include "compiler/schedule/window.h"
#include "compiler/schedule/window_lanes.h"
#include "compiler/schedule/winograd.h"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace dnn::schedule {

using Plan = std::variant<WindowPlan, WindowLanesPlan, WinogradPlan, WinogradSumsPlan, ContractionPlan>;

class Candidates {
public:
  /// The analysis outlives this. Empty if the kernel is something else. Sums without windows for which a window's loops
  /// do not seem worthwhile come last, if they are wanted at all.
  Candidates(const Analysis& analysis, const Machine& machine, Sums sums, LongSums longSums = LongSums::Worthwhile);
  /// Only sums over windows, by plans whose tiles hold whole groups of so many places along each dim of the result.
  Candidates(const Analysis& analysis, const Machine& machine, Sums sums, std::vector<int64_t> groups);

  size_t size() const { return plans_.size(); }
  /// In the order in which the model would take them.
  const Plan& plan(size_t number) const { return plans_[number]; }
  /// Cycles by the model. Those of contractions count every core of the machine, those of the others one.
  double cycles(size_t number) const;
  /// The template and what is most different between its plans.
  std::string kind(size_t number) const;
  std::string text(size_t number) const;
  /// Nothing if the kernel's outputs do not allow the plan.
  std::optional<Schedule> schedule(size_t number) const;

private:
  const Analysis& analysis_;
  Machine machine_;
  std::optional<WindowShape> window_;
  std::optional<WinogradShape> winograd_;
  std::vector<Plan> plans_;

  void addWindows(Sums sums);
};

} // namespace dnn::schedule
