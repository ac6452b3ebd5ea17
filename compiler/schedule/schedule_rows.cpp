// Reductions that are limited by memory or latency, not by arithmetic: softmax rows, sums over a batch, norms.
#include "compiler/schedule/templates.h"

#include <algorithm>

namespace dnn::schedule {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;

namespace {

/// About the cost of one point of the domain in scalar terms, if index runs along the vector.
double costAlong(const Analysis& analysis, const Op& op, uint32_t index, int64_t lanes) {
  int64_t extent = analysis.extentOf(op, index);
  double vectors = static_cast<double>((extent + lanes - 1) / lanes);
  double perVector = costOf(op.body);
  graph::forEachNode(op.body, [&](ExprRef e) {
    if (e->kind == ExprKind::Access) {
      Stride stride = analysis.strideOf(op, e, index);
      if (stride == Stride::Strided || stride == Stride::Gather) {
        perVector += 1.5 * static_cast<double>(lanes);
      }
    }
  });
  return vectors * perVector / static_cast<double>(extent);
}

} // namespace

void scheduleReduction(const Analysis& analysis, const Machine& machine, const Op& op, OpSchedule& how) {
  int bytes = std::max(byteSize(op.body->dtype), 4);
  int64_t lanes = machine.lanes(bytes);
  auto dimName = [](uint32_t d) { return "i" + std::to_string(d); };
  how.stage.placement = Placement::Root;
  std::vector<Dim> dims;
  std::optional<uint32_t> column;
  double outputs = 1;
  for (uint32_t d = 0; d < op.dims.size(); ++d) {
    dims.push_back(op.dims[d].extent);
    outputs *= static_cast<double>(analysis.extentOf(op, d));
    if (analysis.extentOf(op, d) > 1) {
      column = d;
    }
  }
  double points = analysis.points(op);
  double perOutput = std::max(points / std::max(outputs, 1.0), 1.0);
  bool arg = op.reduction == Reduction::ArgMax || op.reduction == Reduction::ArgMin;

  // Candidates: scalar, along the result's innermost dimension, along one of the reduced indices.
  double best = 2 * costOf(op.body) + 4; // the chain of a scalar reduction waits for itself
  std::optional<uint32_t> along;
  bool useLanes = false;
  bool ragged = column && (!op.dims[*column].extent.isStatic() || op.dims[*column].extent.constant() % lanes != 0);
  if (column && !(ragged && analysis.loadsOf(op) == Loads::Backward)) {
    double cost = costAlong(analysis, op, *column, lanes) + 2.0 / static_cast<double>(lanes);
    if (cost < best) {
      best = cost;
      along = column;
    }
  }
  for (uint32_t q = 0; q < op.reduced.size() && !arg; ++q) {
    uint32_t index = static_cast<uint32_t>(op.dims.size()) + q;
    int64_t extent = analysis.extentOf(op, index);
    if (extent < 2) {
      continue;
    }
    double treeCost = 2.0 * static_cast<double>(std::min(extent, lanes)) / perOutput;
    double cost = costAlong(analysis, op, index, lanes) + 0.5 / static_cast<double>(lanes) + treeCost;
    if (cost < best) {
      best = cost;
      along = index;
      useLanes = true;
    }
  }
  bool parallel = points * best >= parallelWork * 4 && !op.dims.empty() && analysis.extentOf(op, 0) > 1;
  int64_t task = op.dims.empty() ? 1 : taskSize(machine, analysis.extentOf(op, 0));

  std::vector<std::string> reducedInnermostFirst;
  for (uint32_t q = static_cast<uint32_t>(op.reduced.size()); q-- > 0;) {
    reducedInnermostFirst.push_back("r" + std::to_string(q));
  }
  if (useLanes) {
    Lanes partial;
    partial.reduced = *along - static_cast<uint32_t>(op.dims.size());
    const Dim& dim = op.reduced[partial.reduced].extent;
    int64_t extent = analysis.maxOf(dim);
    partial.width = lanes;
    if (dim.isStatic() && extent < lanes) {
      partial.width = extent;
    } else if (extent >= 16 * lanes) {
      partial.width = 4 * lanes; // several chains, so that none waits for its own last sum
    }
    Nest start, main, rest;
    start.splits = {{"u", "u_vector", "u_lane", std::min(partial.width, lanes), Tail::RoundUp}};
    start.vectorized = {"u_lane"};
    start.unrolled = {"u_vector"};
    main = start;
    main.order = {"u_lane", "u_vector"};
    main.order.insert(main.order.end(), reducedInnermostFirst.begin(), reducedInnermostFirst.end());
    std::string tailLoop = "r" + std::to_string(partial.reduced);
    rest.order = {tailLoop};
    for (const std::string& r : reducedInnermostFirst) {
      if (r != tailLoop) {
        rest.order.push_back(r);
      }
    }
    if (dim.isStatic() && dim.constant() % partial.width > 1) {
      rest.vectorized = {tailLoop};
    }
    partial.stage.nests = {start, main, rest};
    Nest outer;
    if (op.dims.empty()) {
      partial.stage.placement = Placement::Root;
    } else {
      partial.stage.placement = Placement::At;
      partial.stage.atStage = "op" + std::to_string(how.op);
      partial.stage.atLoop = dimName(static_cast<uint32_t>(op.dims.size()) - 1);
      if (parallel) {
        std::string row = op.dims.size() == 1 ? "row" : "i0_row";
        outer.splits.push_back({"i0", "task", row, task, Tail::Guard});
        outer.parallel = {"task"};
        if (op.dims.size() == 1) {
          partial.stage.atLoop = row;
        }
      }
    }
    how.stage.nests = {outer};
    how.lanes = std::move(partial);
    return;
  }

  Nest update;
  update.order = reducedInnermostFirst;
  how.stage.nests.push_back(elementwiseNest(analysis, machine, dims, bytes, 1, Loads::Forward));
  if (along) {
    std::string loop = dimName(*along);
    bool alone = parallel && *along == 0;
    if (parallel) {
      update.splits.push_back({"i0", "task", "i0_row", alone ? (task + lanes - 1) / lanes * lanes : task, Tail::Guard});
      update.parallel = {"task"};
      loop = alone ? "i0_row" : loop;
    }
    const Dim& dim = op.dims[*along].extent;
    bool whole = dim.isStatic() && dim.constant() % lanes == 0;
    update.splits.push_back({loop, "vector", "lane", lanes, whole && !alone ? Tail::RoundUp : Tail::Guard});
    update.vectorized = {"lane"};
    update.order.insert(update.order.begin(), "lane");
    update.order.push_back("vector");
  } else if (parallel) {
    update.splits.push_back({"i0", "task", "i0_row", task, Tail::Guard});
    update.parallel = {"task"};
  }
  how.stage.nests.push_back(std::move(update));
}

} // namespace dnn::schedule
