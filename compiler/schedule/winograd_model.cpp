// Which sums can be made by Winograd's products, and about how many cycles that takes.
#include "compiler/schedule/caches.h"
#include "compiler/schedule/winograd.h"

#include <algorithm>
#include <cmath>

namespace dnn::schedule {

using graph::ExprKind;
using graph::ExprRef;

namespace {

/// Starting and emptying the pipeline, loading and storing the accumulators.
constexpr double productStart = 20;
/// Cycles to transform a weight where all of them are much larger than the second cache: the lines of their 36 (or 16)
/// planes lie so far apart that they share few sets of it. Where neighbouring columns lie apart, too (the gradient of
/// the input), much more. Measured with 256 and 512 channels.
constexpr double farWeight = 80, farWeightAcross = 300;
/// The part of the second cache that the transformed elements of a block may fill.
constexpr double cacheShare = 0.75;

} // namespace

double winogradTermCycles(int64_t vectors, int64_t rows, double vectorsPerCycle) {
  constexpr double elementsPerCycle = 2, fmaWait = 4;
  double loads = static_cast<double>(vectors) / vectorsPerCycle + static_cast<double>(rows) / elementsPerCycle;
  return std::max({static_cast<double>(vectors * rows) / vectorsPerCycle, loads, fmaWait}) +
         0.05 * static_cast<double>(vectors + rows);
}

double winogradFarLines(double bytes, const Machine& machine) {
  constexpr double fromL3 = 4, fromMemory = 12;
  double line = bytes <= static_cast<double>(machine.l2Bytes) * cacheShare ? 0 : bytes <= l3Share ? fromL3 : fromMemory;
  return bytes / lineBytes * line;
}

double winogradError(int64_t outputs, int64_t channels) {
  return (outputs == 2 ? 4.5e-8 : 8e-7) * std::sqrt(static_cast<double>(channels));
}

std::optional<WinogradShape> winogradShape(const WindowShape& window, const Analysis& analysis) {
  const graph::Op& op = *window.op;
  uint32_t rank = static_cast<uint32_t>(op.dims.size());
  if (window.blocks || op.body->dtype != DType::F32 || rank < 3 || window.column != rank - 1 ||
      op.reduced.size() != 3 || window.operands.size() != 2) {
    return std::nullopt;
  }
  WinogradShape shape;
  shape.data = window.operands[0].window != nullptr ? 0 : 1;
  shape.weights = 1 - shape.data;
  const WindowOperand& data = window.operands[shape.data];
  const WindowOperand& weights = window.operands[shape.weights];
  if (data.window == nullptr || weights.window != nullptr || data.uses[window.column]) {
    return std::nullopt;
  }
  for (uint32_t index = 0; index < rank + 3; ++index) { // weights: the column and what is summed, nothing else
    if (weights.uses[index] != (index >= rank - 1)) {
      return std::nullopt;
    }
  }
  shape.dims = {rank - 3, rank - 2};
  std::array<bool, 3> isTap{};
  size_t found = 0, bare = 0;
  for (size_t position = 0; position < data.window->args.size(); ++position) {
    ExprRef subscript = data.window->args[position];
    if (subscript->kind == ExprKind::Const) {
      continue;
    }
    if (subscript->kind == ExprKind::Index) {
      ++bare;
      shape.channelSubscript = subscript->index >= rank ? position : shape.channelSubscript;
      shape.channel = subscript->index >= rank ? subscript->index - rank : shape.channel;
      continue;
    }
    std::optional<graph::LinearForm> form = graph::linearForm(subscript);
    if (!form || !form->isAffine() || form->terms.size() != 2 || !form->constant.isStatic() || found == 2) {
      return std::nullopt;
    }
    uint32_t own = form->terms[0].atom->index, tap = form->terms[1].atom->index;
    int64_t ownFactor = form->terms[0].factor, tapFactor = form->terms[1].factor;
    if (own > tap) {
      std::swap(own, tap);
      std::swap(ownFactor, tapFactor);
    }
    if (own != shape.dims[found] || ownFactor != 1 || tap < rank || std::abs(tapFactor) != 1 ||
        !analysis.dimOf(op, own).isStatic() || !(analysis.dimOf(op, tap) == Dim(3))) {
      return std::nullopt;
    }
    shape.taps[found] = tap - rank;
    shape.backwards[found] = tapFactor < 0;
    shape.first[found] = form->constant.constant() - (tapFactor < 0 ? 2 : 0);
    shape.subscripts[found] = position;
    isTap[tap - rank] = true;
    ++found;
  }
  // Every dim outside of the two stands in a subscript of its own, and so does the channel.
  if (found != 2 || bare != rank - 2 || isTap[shape.channel] || shape.taps[0] == shape.taps[1] ||
      !analysis.dimOf(op, rank + shape.channel).isStatic()) {
    return std::nullopt;
  }
  int64_t channels = analysis.extentOf(op, rank + shape.channel), columns = analysis.extentOf(op, window.column);
  if (channels < window.lanes || columns < window.lanes) {
    return std::nullopt;
  }
  return shape;
}

std::vector<WinogradPlan> winogradPlans(const WindowShape& window, const WinogradShape& shape, const Analysis& analysis,
                                        const Machine& machine) {
  const graph::Op& op = *window.op;
  uint32_t rank = static_cast<uint32_t>(op.dims.size());
  int64_t channels = analysis.extentOf(op, rank + shape.channel), columns = analysis.extentOf(op, window.column);
  int64_t items = rank > 3 ? analysis.extentOf(op, rank - 4) : 1;
  double outer = 1;
  for (uint32_t d = 0; d + 4 < rank; ++d) {
    outer *= static_cast<double>(analysis.extentOf(op, d));
  }
  double lanes = static_cast<double>(window.lanes);
  double farWeights =
      static_cast<double>(channels) * (window.operands[shape.weights].contiguous ? farWeight : farWeightAcross);
  std::vector<WinogradPlan> plans;
  for (int64_t outputs : {2, 4}) {
    if (winogradError(outputs, channels) > mostWinogradError) {
      continue;
    }
    int64_t points = outputs + 2;
    std::array<int64_t, 2> blocks = {(analysis.extentOf(op, shape.dims[0]) + outputs - 1) / outputs,
                                     (analysis.extentOf(op, shape.dims[1]) + outputs - 1) / outputs};
    for (int64_t vectors = 1; vectors <= 4; ++vectors) {
      for (int64_t x = 1; x <= std::min<int64_t>(blocks[1], 8); ++x) {
        for (int64_t y = 1; y <= std::min<int64_t>(blocks[0], 8 / x); ++y) {
          int64_t accumulators = vectors * x * y;
          if (accumulators + winogradHeld(vectors) > machine.vectorRegisters ||
              (vectors - 1) * window.lanes >= columns) {
            continue;
          }
          WinogradPlan plan{outputs, vectors, {y, x}};
          int64_t wide = roundUp(columns, vectors * window.lanes), across = roundUp(blocks[1], x);
          // Elements, transformed elements and products of one row of blocks.
          double row = static_cast<double>(across * outputs * outputs * channels +
                                           points * points * across * (channels + wide)) *
                       4;
          double room = static_cast<double>(machine.l2Bytes) * cacheShare;
          int64_t down = roundUp(blocks[0], y), tasks = 2 * machine.cores; // that are left for the cores
          auto fits = [&](int64_t rows, int64_t together) {
            int64_t count = (items + together - 1) / together * ((down + rows - 1) / rows);
            return row * static_cast<double>(rows * together) <= room && count >= tasks;
          };
          plan.blockRows = y;
          while (plan.blockRows + y <= down && fits(plan.blockRows + y, 1)) {
            plan.blockRows += y;
          }
          while (plan.blockRows >= down && plan.items * 2 <= items && fits(down, plan.items * 2)) {
            plan.items *= 2;
          }
          double all = outer * static_cast<double>(items * down * across);
          double step = winogradTermCycles(vectors, x * y, machine.vectorsPerCycle(window.lanes * 32));
          double tiles = all / static_cast<double>(x * y) * static_cast<double>(wide) /
                         (static_cast<double>(vectors) * lanes) * static_cast<double>(points * points);
          double passes = static_cast<double>((points + outputs) * points) * transformStep;
          double weights = static_cast<double>(points * points * channels * wide) * 4;
          // More items than the second cache holds: where weights come from far away, each group of items reads them.
          for (bool more = true; more; plan.items *= 2) {
            double together = static_cast<double>(plan.blockRows * plan.items);
            double groups = outer * std::ceil(static_cast<double>(items) / static_cast<double>(plan.items)) *
                            std::ceil(static_cast<double>(down) / static_cast<double>(plan.blockRows));
            double reading = groups * winogradFarLines(weights, machine);
            double data = row * together > room ? groups * 2 * winogradFarLines(row * together, machine) : 0;
            double products = tiles * (static_cast<double>(channels) * step + productStart);
            plan.cycles =
                std::max(products, reading) + 0.3 * std::min(products, reading) + data +
                all * passes * static_cast<double>(channels + columns) / lanes + weights / 4 / lanes * 4 +
                (weights > 2 * static_cast<double>(machine.l2Bytes) ? farWeights * static_cast<double>(wide) : 0);
            plans.push_back(plan);
            int64_t left = (items + plan.items * 2 - 1) / (plan.items * 2);
            more = weights > static_cast<double>(machine.l2Bytes) && plan.blockRows >= down &&
                   plan.items * 2 <= items && left >= machine.cores;
          }
        }
      }
    }
  }
  std::ranges::stable_sort(plans, {}, &WinogradPlan::cycles);
  return plans;
}

std::string print(const WinogradPlan& plan) {
  std::string m = std::to_string(plan.outputs);
  return m + " × " + m + ", " + std::to_string(plan.vectors) + " vectors × " + std::to_string(plan.rows[0]) + " × " +
         std::to_string(plan.rows[1]) + " blocks, " + std::to_string(plan.blockRows) + " rows of " +
         std::to_string(plan.items) + " together";
}

} // namespace dnn::schedule
