// Kernels that run row by row (row_form.h): one read and one write of memory for each element of a row.
//
//   for each row                               in parallel, in contiguous tasks
//     maximum, exponentials, their sum         while the row and the exponentials are in the cache
//     what is reduced over the rows later      one number for each of those reductions
//     the outputs                              over the input where that is in place
//   reductions over the rows
#include "compiler/schedule/row_form.h"
#include "compiler/schedule/templates.h"
#include "compiler/support/assert.h"

#include <algorithm>

namespace dnn::schedule {

using graph::Op;
using graph::Value;

namespace {

/// The stage that fetches the next row of an operand: after the first one that reads it, which waits for memory, the
/// one that computes most. Only of operands that the second cache does not hold.
void fetchNextRows(const graph::Function& function, const RowForm& form, const Machine& machine, Schedule& schedule) {
  for (const Op* input : function.body.ops) {
    if (input->kind != graph::OpKind::Input) {
      continue;
    }
    const Value* rows = input->results[0];
    bool whole = rows->type.rank() == 2 && rows->type.dims[0] == form.rows && rows->type.dims[1].isStatic();
    if (!whole || form.rows.max(function.symbols) * rows->type.dims[1].constant() * byteSize(rows->type.dtype) <=
                      machine.l2Bytes) {
      continue;
    }
    OpSchedule* fetching = nullptr;
    double most = 0;
    bool first = true;
    for (OpSchedule& how : schedule.ops) {
      const Op& op = *function.body.ops[how.op];
      bool inRows = std::ranges::find(form.inRows, &op) != form.inRows.end();
      if (!inRows || how.stage.placement != Placement::At ||
          std::ranges::find(op.operands, rows) == op.operands.end()) {
        continue;
      }
      bool elementwise = op.reduction == Reduction::None && op.dims.size() == 2;
      if (!first && elementwise && costOf(op.body) > most) {
        most = costOf(op.body);
        fetching = &how;
      }
      first = false;
    }
    if (fetching != nullptr) {
      const auto& operands = function.body.ops[fetching->op]->operands;
      fetching->fetchesNextRowOf.push_back(static_cast<uint32_t>(std::ranges::find(operands, rows) - operands.begin()));
    }
  }
}

/// Every access to v is at the op's own row and reduced index.
bool reducesPointwise(const Op& op, const Value* v) {
  bool own = op.dims.size() == 1 && op.reduced.size() == 1 && v->type.rank() == 2;
  graph::forEachNode(op.body, [&](graph::ExprRef e) {
    if (e->kind == graph::ExprKind::Access && op.operands[e->operand] == v) {
      own = own && e->args[0]->kind == graph::ExprKind::Index && e->args[0]->index == 0 &&
            e->args[1]->kind == graph::ExprKind::Index && e->args[1]->index == 1;
    }
  });
  return own;
}

/// Reductions of what a stage stores take each block of it when it is made: of what they read, the values that come
/// last.
void reduceWhileMade(const Analysis& analysis, const RowForm& form, Schedule& schedule) {
  const auto& ops = analysis.function.body.ops;
  auto madeBy = [&](const Value* v) {
    return std::ranges::find_if(schedule.ops, [&](const OpSchedule& how) { return ops[how.op] == v->def; });
  };
  for (OpSchedule& how : schedule.ops) {
    const Op& op = *ops[how.op];
    if (!how.lanes || how.stage.placement != Placement::At) {
      continue;
    }
    OpSchedule* last = nullptr;
    const Value* values = nullptr;
    for (const Value* v : op.operands) {
      bool inRows = std::ranges::find(form.inRows, v->def) != form.inRows.end();
      if (inRows && (last == nullptr || madeBy(v)->op > last->op)) {
        last = &*madeBy(v);
        values = v;
      }
    }
    if (last == nullptr || values->def->reduction != Reduction::None || last->stage.placement != Placement::At ||
        !reducesPointwise(op, values) || !(values->type.dims[1] == op.reduced[0].extent)) {
      continue;
    }
    Nest& nest = last->stage.nests.front();
    int64_t width = how.lanes->width;
    bool whole = nest.splits.size() == 1 && width % nest.splits[0].factor == 0 && width > nest.splits[0].factor;
    if (!whole && (nest.splits.empty() || nest.splits[0].factor != width)) {
      continue;
    }
    if (whole) {
      Split vectors = nest.splits[0];
      nest.splits = {{vectors.loop, "block", "piece", width, vectors.tail},
                     {"piece", vectors.outer, vectors.inner, vectors.factor, Tail::RoundUp}};
      nest.unrolled = {vectors.outer};
    }
    how.lanes->with = last->op;
  }
}

} // namespace

std::optional<Schedule> scheduleRowKernel(const Analysis& analysis, const Machine& machine) {
  const graph::Function& function = analysis.function;
  std::optional<RowForm> form = rowForm(function.body.ops, function.returns, function.symbols);
  if (!form) {
    return std::nullopt;
  }
  Schedule schedule = placeStages(analysis, nullptr, true);
  schedule.family = "row by row";
  schedule.byRows = true;

  double work = 0;
  for (const Op* op : form->inRows) {
    work += analysis.points(*op) * costOf(op->body) / static_cast<double>(machine.lanes(4));
  }
  // Tasks of equal numbers of rows; where the number of rows is not known, each row is one. A guard in a loop that
  // stages share would not be seen by bounds inference.
  int64_t task = form->rows.isStatic() ? taskSize(machine, form->rows.constant()) : 1;
  while (form->rows.isStatic() && form->rows.constant() % task != 0) {
    --task;
  }
  Nest rows;
  std::string rowLoop = "i0";
  if (work >= parallelWork && task > 1) {
    rowLoop = "row";
    rows.splits = {{"i0", "task", "row", task, Tail::RoundUp}};
    rows.parallel = {"task"};
  } else if (work >= parallelWork) {
    rows.parallel = {"i0"};
  }
  // The stages that leave something behind a row. Everything else is computed in the row loop of the first.
  std::string home;
  auto addSink = [&](StageSchedule& stage, const std::string& name, Nest columns) {
    stage.placement = Placement::Root;
    Nest nest = rows;
    nest.splits.insert(nest.splits.end(), columns.splits.begin(), columns.splits.end());
    nest.vectorized = columns.vectorized;
    stage.nests = {std::move(nest)};
    if (home.empty()) {
      home = name;
    } else {
      stage.withStage = home;
      stage.withLoop = rowLoop;
    }
  };
  auto inRows = [&](const Op* op) { return std::ranges::find(form->inRows, op) != form->inRows.end(); };
  for (OpSchedule& how : schedule.ops) {
    const Op& op = *function.body.ops[how.op];
    if (op.reduction != Reduction::None && !inRows(&op)) {
      how.values.emplace();
      addSink(*how.values, "op" + std::to_string(how.op) + "_values", {});
    }
  }
  for (size_t number = 0; number < schedule.outputs.size(); ++number) {
    OutputSchedule& output = schedule.outputs[number];
    const Value* first = function.returns[output.returns.front()];
    if (!inRows(first->def)) {
      output.stage.nests = {Nest{}};
      continue;
    }
    Loads loads = Loads::Forward;
    int bytes = 8;
    double cost = 0;
    for (uint32_t index : output.returns) {
      const Value* v = function.returns[index];
      loads = std::max(loads, analysis.loadsOf(*v->def));
      cost += costOf(v->def->body);
      bytes = std::min(bytes, byteSize(v->type.dtype));
    }
    std::vector<Dim> dims = first->type.dims;
    dims[0] = 1; // the row loop is not the vector's
    addSink(output.stage, "out" + std::to_string(number),
            elementwiseNest(analysis, machine, dims, bytes, 0, loads, chainsOf(cost)));
  }
  DNN_ASSERT(!home.empty(), "a kernel that runs by rows writes something of them");
  for (OpSchedule& how : schedule.ops) {
    const Op& op = *function.body.ops[how.op];
    if (how.stage.placement == Placement::Inline) {
      continue;
    }
    if (!inRows(&op)) {
      scheduleReduction(analysis, machine, op, how, false);
      continue;
    }
    if (op.reduction != Reduction::None) {
      scheduleReduction(analysis, machine, op, how, true);
    } else {
      std::vector<Dim> dims = op.results[0]->type.dims;
      dims[0] = 1;
      how.stage.nests = {elementwiseNest(analysis, machine, dims, byteSize(op.results[0]->type.dtype), 0,
                                         analysis.loadsOf(op), chainsOf(costOf(op.body)))};
    }
    how.stage.placement = Placement::At;
    how.stage.atStage = home;
    how.stage.atLoop = rowLoop;
  }
  reduceWhileMade(analysis, *form, schedule);
  fetchNextRows(function, *form, machine, schedule);
  return schedule;
}

} // namespace dnn::schedule
