// Kernels that run block by block (block_form.h): what a block holds is read from memory once, however many sums it
// has.
//
//   for each block                      in parallel
//     for each tile of columns          sums in registers: several in one loop where none waits for another
//     what the sums need of each other, once
//     the outputs: of each place, of the block
#include "compiler/schedule/block_form.h"
#include "compiler/schedule/templates.h"

#include <algorithm>

namespace dnn::schedule {

using graph::Op;
using graph::Value;

namespace {

/// So many that none waits for its own last sum, and not more than registers are left.
constexpr int64_t mostAccumulators = 8;

class BlockScheduler {
public:
  BlockScheduler(const Analysis& analysis, const Machine& machine, const BlockForm& form)
      : analysis_(analysis), machine_(machine), form_(form), schedule_(placeStages(analysis, nullptr)) {}

  std::optional<Schedule> run() {
    schedule_.family = "block by block";
    writeAll();
    // Halide 21 lets two loop nests share their loops, but not three that read one buffer.
    constexpr size_t mostLoops = 2;
    if (schedule_.outputs.size() > mostLoops) {
      return std::nullopt;
    }
    for (size_t number = 0; number < schedule_.outputs.size(); ++number) {
      addSink(schedule_.outputs[number], "out" + std::to_string(number));
    }
    joinBlockSums(analysis_, machine_, form_.sums, schedule_);
    for (OpSchedule& how : schedule_.ops) {
      const Op& op = *analysis_.function.body.ops[how.op];
      if (how.stage.placement == Placement::Inline || how.joinedWith) {
        continue;
      }
      if (op.reduction != Reduction::None) {
        scheduleBlockSum(analysis_, machine_, op, form_.rows, how);
      } else {
        std::vector<Dim> dims = op.results[0]->type.dims;
        std::fill_n(dims.begin(), form_.rows, Dim(1));
        how.stage.nests = {elementwiseNest(analysis_, machine_, dims, byteSize(op.results[0]->type.dtype), 0,
                                           Loads::Forward, chainsOf(costOf(op.body)))};
      }
      how.stage.placement = Placement::At;
      how.stage.atStage = home_;
      how.stage.atLoop = rowLoop();
    }
    return std::move(schedule_);
  }

private:
  const Analysis& analysis_;
  const Machine& machine_;
  const BlockForm& form_;
  Schedule schedule_;
  std::string home_;

  std::string rowLoop() const { return "i" + std::to_string(form_.rows - 1); }

  /// Every return is written by an output stage, which the loop over blocks belongs to.
  void writeAll() {
    for (uint32_t index = 0; index < analysis_.function.returns.size(); ++index) {
      bool written = std::ranges::any_of(schedule_.outputs, [&](const OutputSchedule& output) {
        return std::ranges::find(output.returns, index) != output.returns.end();
      });
      if (written) {
        continue;
      }
      const std::vector<Dim>& dims = analysis_.function.returns[index]->type.dims;
      auto home = std::ranges::find_if(schedule_.outputs, [&](const OutputSchedule& output) {
        return analysis_.function.returns[output.returns.front()]->type.dims == dims;
      });
      if (home == schedule_.outputs.end()) {
        schedule_.outputs.push_back({});
        home = schedule_.outputs.end() - 1;
      }
      home->returns.push_back(index);
    }
  }

  void addSink(OutputSchedule& output, const std::string& name) {
    std::vector<Dim> dims = analysis_.function.returns[output.returns.front()]->type.dims;
    std::fill_n(dims.begin(), form_.rows, Dim(1)); // not the vector's
    int bytes = 8;
    double cost = 0;
    for (uint32_t index : output.returns) {
      const Value* v = analysis_.function.returns[index];
      bytes = std::min(bytes, byteSize(v->type.dtype));
      cost += costOf(v->def->body);
    }
    Nest nest = elementwiseNest(analysis_, machine_, dims, bytes, 0, Loads::Forward, chainsOf(cost));
    if (work() >= parallelRows) {
      nest.parallel = {"i0"};
    }
    output.stage.placement = Placement::Root;
    output.stage.nests = {std::move(nest)};
    if (home_.empty()) {
      home_ = name;
    } else {
      output.stage.withStage = home_;
      output.stage.withLoop = rowLoop();
    }
  }

  double work() const {
    double all = 0;
    for (const auto* ops : {&form_.wide, &form_.sums}) {
      for (const Op* op : *ops) {
        all += analysis_.points(*op) * costOf(op->body) / static_cast<double>(machine_.lanes(4));
      }
    }
    return all;
  }
};

} // namespace

void joinBlockSums(const Analysis& analysis, const Machine& machine, const std::vector<const Op*>& sums,
                   Schedule& schedule) {
  auto scheduleOf = [&](const Op& op) -> OpSchedule& {
    return *std::ranges::find(schedule.ops, analysis.positionOf(op), &OpSchedule::op);
  };
  const Op& first = *sums.front();
  int64_t lanes = machine.lanes(std::max(byteSize(first.body->dtype), 4));
  int64_t vectors = (first.dims.back().extent.constant() + lanes - 1) / lanes;
  size_t mostTogether = static_cast<size_t>(mostAccumulators / std::min(vectors, mostAccumulators));
  for (size_t i = 0; i < sums.size(); ++i) {
    OpSchedule& leader = scheduleOf(*sums[i]);
    for (size_t j = i + 1; j < sums.size() && !leader.joinedWith; ++j) {
      const Op& other = *sums[j];
      bool ready = std::ranges::all_of(other.operands, [&](const Value* v) {
        return v->def->kind == graph::OpKind::Input || analysis.positionOf(*v->def) < leader.op;
      });
      OpSchedule& own = scheduleOf(other);
      if (ready && !own.joinedWith && other.body->dtype == sums[i]->body->dtype &&
          leader.joined.size() + 1 < mostTogether) {
        own.joinedWith = leader.op;
        leader.joined.push_back(own.op);
      }
    }
  }
}

void scheduleBlockSum(const Analysis& analysis, const Machine& machine, const Op& op, size_t rows, OpSchedule& how) {
  int64_t values = 1 + static_cast<int64_t>(how.joined.size());
  uint32_t columnDim = static_cast<uint32_t>(op.dims.size() - 1);
  std::string column = "i" + std::to_string(columnDim), name = "op" + std::to_string(how.op);
  int64_t columns = op.dims[columnDim].extent.constant();
  int64_t lanes = machine.lanes(std::max(byteSize(op.body->dtype), 4));
  bool single = columns < lanes;
  int64_t vectors = std::max<int64_t>(columns / lanes, 1), tile = std::min(vectors, mostAccumulators / values);
  while (vectors % tile != 0) {
    --tile;
  }
  Accumulator plan;
  int64_t last = analysis.extentOf(op, static_cast<uint32_t>(op.dims.size() + op.reduced.size() - 1));
  while (plan.chains * 2 * tile * values <= mostAccumulators && last % (plan.chains * 2) == 0) {
    plan.chains *= 2;
  }
  Nest home, start;
  std::string tileLoop = "i" + std::to_string(rows - 1);
  if (single) {
    home.vectorized = {column};
    start.vectorized = {column};
  } else {
    bool whole = columns % (tile * lanes) == 0;
    home.splits = {{column, "column", "columns", tile * lanes, whole ? Tail::RoundUp : Tail::Shift},
                   {"columns", "vector", "lane", lanes, Tail::RoundUp}};
    home.order = {"lane", "vector", "column"};
    home.vectorized = {"lane"};
    home.unrolled = {"vector"};
    start.splits = {{column, "vector", "lane", lanes, Tail::RoundUp}};
    start.vectorized = {"lane"};
    start.unrolled = {"vector"};
    tileLoop = "column";
  }
  if (plan.chains > 1) {
    start.unrolled.push_back("u");
  }
  Nest sum = start;
  sum.order = single ? std::vector{column} : std::vector<std::string>{"lane", "vector"};
  if (plan.chains > 1) {
    sum.order.push_back("u");
  }
  for (size_t r = op.reduced.size(); r-- > 0;) {
    sum.order.push_back("r" + std::to_string(r));
  }
  plan.stage.placement = Placement::At;
  plan.stage.atStage = name;
  plan.stage.atLoop = tileLoop;
  plan.stage.tile = {{column, single ? columns : tile * lanes}};
  plan.stage.nests = {std::move(start), std::move(sum)};
  how.stage.nests = {std::move(home)};
  how.accumulator = std::move(plan);
}

std::optional<Schedule> scheduleBlocks(const Analysis& analysis, const Machine& machine) {
  std::optional<BlockForm> form = blockForm(analysis, machine);
  return form ? BlockScheduler(analysis, machine, *form).run() : std::nullopt;
}

} // namespace dnn::schedule
