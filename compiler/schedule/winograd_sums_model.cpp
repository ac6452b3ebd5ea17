// Which gradients of weights can be made by Winograd's products, and about how many cycles that takes.
#include "compiler/schedule/templates.h"
#include "compiler/schedule/winograd.h"

#include <algorithm>
#include <cmath>

namespace dnn::schedule {

using graph::ExprKind;
using graph::ExprRef;

namespace {

/// Cycles for a vector of sums that a block is added to.
constexpr double sumsUpdate = 3;
constexpr double sumsTileStart = 15;

/// Fills the part of the plan that says what is read; false if the sum has another form.
bool describesSums(const WindowShape& window, const Analysis& analysis, WinogradSumsPlan& plan) {
  const graph::Op& op = *window.op;
  if (!window.blocks || op.body->dtype != DType::F32 || op.dims.size() != 4 || window.column != 3 ||
      op.reduced.size() != 3 || window.operands.size() != 2) {
    return false;
  }
  plan.data = window.operands[0].window != nullptr ? 0 : 1;
  const WindowOperand& data = window.operands[plan.data];
  const WindowOperand& factor = window.operands[1 - plan.data];
  constexpr uint32_t column = 3, channel = 2, rank = 4;
  // The factor: items, places and the column.
  if (data.window == nullptr || factor.window != nullptr || data.uses[column] ||
      factor.uses != std::vector<bool>{false, false, false, true, true, true, true}) {
    return false;
  }
  size_t found = 0, bare = 0;
  for (size_t position = 0; position < data.window->args.size(); ++position) {
    ExprRef subscript = data.window->args[position];
    if (subscript->kind == ExprKind::Const) {
      continue;
    }
    if (subscript->kind == ExprKind::Index) {
      if (subscript->index != channel && subscript->index != rank) {
        return false;
      }
      plan.channelSubscript = subscript->index == channel ? position : plan.channelSubscript;
      ++bare;
      continue;
    }
    std::optional<graph::LinearForm> form = graph::linearForm(subscript);
    uint32_t distance = static_cast<uint32_t>(found), place = rank + 1 + distance;
    if (!form || !form->isAffine() || form->terms.size() != 2 || !form->constant.isStatic() || found == 2 ||
        form->factorOf(distance) != 1 || form->factorOf(place) != 1 || !(analysis.dimOf(op, distance) == Dim(3)) ||
        !analysis.dimOf(op, place).isStatic()) {
      return false;
    }
    plan.first[found] = form->constant.constant();
    plan.subscripts[found] = position;
    ++found;
  }
  return found == 2 && bare == 2 && analysis.dimOf(op, channel).isStatic() &&
         analysis.extentOf(op, channel) >= window.lanes && analysis.extentOf(op, column) >= window.lanes;
}

} // namespace

std::vector<WinogradSumsPlan> winogradSumsPlans(const WindowShape& window, const Analysis& analysis,
                                                const Machine& machine) {
  WinogradSumsPlan form;
  std::vector<WinogradSumsPlan> plans;
  if (!describesSums(window, analysis, form)) {
    return plans;
  }
  const graph::Op& op = *window.op;
  constexpr double points = 36;
  int64_t channels = analysis.extentOf(op, 2), columns = analysis.extentOf(op, 3), items = analysis.extentOf(op, 4);
  int64_t down = roundUp(analysis.extentOf(op, 5), sumsStep) / sumsStep,
          across = roundUp(analysis.extentOf(op, 6), sumsStep) / sumsStep;
  double lanes = static_cast<double>(window.lanes);
  for (int64_t vectors = 1; vectors <= 4; ++vectors) {
    for (int64_t rows = 1; rows <= std::min<int64_t>(channels, 12); ++rows) {
      if (vectors * rows + winogradHeld(vectors) > machine.vectorRegisters || (vectors - 1) * window.lanes >= columns) {
        continue;
      }
      WinogradSumsPlan plan = form;
      plan.vectors = vectors;
      plan.channels = rows;
      int64_t wide = roundUp(columns, vectors * window.lanes), deep = roundUp(channels, rows);
      double sums = points * static_cast<double>(wide * deep);
      if (sums * 4 * 2 > mostSumsBytes) {
        continue;
      }
      double block = points * static_cast<double>(across * (wide + deep)) * 4;
      double room = static_cast<double>(machine.l2Bytes);
      while (plan.rows < down && block * static_cast<double>(plan.rows + 1) <= room) {
        ++plan.rows;
      }
      plan.rows = (down + (down + plan.rows - 1) / plan.rows - 1) / ((down + plan.rows - 1) / plan.rows);
      while (plan.rows == down && plan.items * 2 * reductionPieces <= items &&
             block * static_cast<double>(down * plan.items * 2) <= room) {
        plan.items *= 2;
      }
      // Sums that are much larger than the second cache are added to more rarely, by groups that it does not hold
      // either: each element of those is written, read and fetched again on the way.
      for (bool more = true; more;) {
        double groups = std::ceil(static_cast<double>(items) / static_cast<double>(plan.items)) *
                        std::ceil(static_cast<double>(down) / static_cast<double>(plan.rows));
        double all = groups * static_cast<double>(plan.rows * plan.items * across);
        double cycles = winogradTermCycles(vectors, rows, machine.vectorsPerCycle(window.lanes * 32));
        double tiles = static_cast<double>(deep / rows) * static_cast<double>(wide / (vectors * window.lanes)) * points;
        double products = tiles * (all * cycles + groups * sumsTileStart) + groups * sums / lanes * sumsUpdate;
        double moved = groups * 2 * winogradFarLines(sums * 4, machine),
               group = block * static_cast<double>(plan.rows * plan.items);
        plan.cycles = std::max(products, moved) + 0.3 * std::min(products, moved) +
                      (group > room ? groups * 6 * winogradFarLines(group, machine) : 0) +
                      all * 60 * transformStep * static_cast<double>(channels + columns) / lanes +
                      static_cast<double>(reductionPieces) * sums / lanes * 2;
        plans.push_back(plan);
        more = sums * 4 > 2 * room && (plan.rows < down || plan.items * 4 <= items);
        (plan.rows < down ? plan.rows : plan.items) *= 2;
        plan.rows = std::min(plan.rows, down);
      }
    }
  }
  std::ranges::stable_sort(plans, {}, &WinogradSumsPlan::cycles);
  return plans;
}

std::string print(const WinogradSumsPlan& plan) {
  return "sums, " + std::to_string(plan.vectors) + " vectors × " + std::to_string(plan.channels) + " channels, " +
         std::to_string(plan.rows) + " rows of " + std::to_string(plan.items) + " together";
}

} // namespace dnn::schedule
