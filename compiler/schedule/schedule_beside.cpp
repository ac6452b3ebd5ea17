// Sums over blocks of what a product or a window's sum writes: each image is added up when it has been written, while
// it is in the cache. The rest of the kernel runs as it would without them.
//
//   for each image or group of images of the output     the loops of the output's own schedule
//     everything that writes it
//     its sums, reading it where it has been written    schedule_blocks.cpp
//
// Where the output's outer loops are not over images, the sums follow as loops of their own.
#include "compiler/schedule/block_form.h"
#include "compiler/schedule/templates.h"

#include <algorithm>

namespace dnn::schedule {

using graph::Op;
using graph::OpKind;
using graph::Value;

namespace {

class Beside {
public:
  Beside(const Analysis& analysis, const Machine& machine) : analysis_(analysis), machine_(machine) {}

  std::optional<Schedule> run(Sums sums) {
    if (!cut()) {
      return std::nullopt;
    }
    graph::Function main(analysis_.function.module, analysis_.function.kind, analysis_.function.name);
    main.symbols = analysis_.function.symbols;
    main.body.ops.assign(ops().begin(), ops().begin() + static_cast<std::ptrdiff_t>(first_));
    Kernel kernel = analysis_.kernel;
    kernel.function = &main;
    kernel.inPlace.clear();
    kernel.unalignedReturns.clear();
    std::vector<uint32_t> original; // of each return of `main`
    for (uint32_t index = 0; index < analysis_.function.returns.size(); ++index) {
      Value* v = analysis_.function.returns[index];
      if (isTail(*v->def)) {
        ownReturns_.push_back(index);
        continue;
      }
      main.returns.push_back(v);
      original.push_back(index);
      if (!analysis_.kernel.unalignedReturns.empty()) {
        kernel.unalignedReturns.push_back(analysis_.kernel.unalignedReturns[index]);
      }
    }
    schedule_ = chooseSchedule(kernel, machine_, sums);
    schedule_.family += ", sums beside it";
    for (OutputSchedule& output : schedule_.outputs) {
      for (uint32_t& index : output.returns) {
        index = original[index];
      }
    }
    fetchSummed();
    addSink();
    addSums();
    return std::move(schedule_);
  }

private:
  const Analysis& analysis_;
  const Machine& machine_;
  size_t first_ = 0; // position of the first sum: it and all behind it is the tail
  Schedule schedule_;
  std::vector<uint32_t> ownReturns_;
  std::string sink_;

  const std::vector<Op*>& ops() const { return analysis_.function.body.ops; }
  bool isTail(const Op& op) const { return analysis_.positionOf(op) >= first_; }
  const Op& sum() const { return *ops()[first_]; }
  uint32_t columnDim() const { return static_cast<uint32_t>(sum().dims.size() - 1); }

  /// The tail: sums of equal domains and what is elementwise over their results; of the rest it reads what is returned.
  bool cut() {
    auto isReduction = [](const Op* op) { return op->kind == OpKind::Comp && op->reduction != Reduction::None; };
    auto anchor = std::ranges::find_if(ops(), isReduction);
    if (anchor == ops().end() || !isContraction(**anchor, analysis_.function.symbols)) {
      return false;
    }
    auto first = std::find_if(anchor + 1, ops().end(), isReduction);
    first_ = static_cast<size_t>(first - ops().begin());
    bool inPlace = std::ranges::any_of(analysis_.kernel.inPlace, [](const auto& input) { return input.has_value(); });
    if (first == ops().end() || inPlace || sum().dims.size() < 2) {
      return false;
    }
    return std::all_of(first, ops().end(), [&](const Op* op) { return fits(*op); });
  }

  bool fits(const Op& op) const {
    bool fixed = std::ranges::all_of(op.reduced, [](const graph::IndexVar& var) { return var.extent.isStatic(); });
    return op.kind == OpKind::Comp && !isArg(op.reduction) && fixed && op.dims.back().extent.isStatic() &&
           sameExtents(op.dims, sum().dims) &&
           (op.reduction == Reduction::None || sameExtents(op.reduced, sum().reduced)) &&
           std::ranges::all_of(op.operands, [&](const Value* v) { return isReadable(op, v); });
  }

  /// An input; a value of the tail at op's own rows; a return whose rows are op's.
  bool isReadable(const Op& op, const Value* v) const {
    if (v->def->kind != OpKind::Comp) {
      return true;
    }
    bool ownRow = true;
    graph::forEachNode(op.body, [&](graph::ExprRef e) {
      if (e->kind == graph::ExprKind::Access && op.operands[e->operand] == v) {
        ownRow &= !e->fill && e->args[0]->kind == graph::ExprKind::Index && e->args[0]->index == 0;
      }
    });
    return ownRow && (isTail(*v->def) || analysis_.escapes(v));
  }

  /// The loops that write the tail's returns.
  void addSink() {
    sink_ = "out" + std::to_string(schedule_.outputs.size());
    OutputSchedule sink;
    sink.returns = ownReturns_;
    sink.stage.placement = Placement::Root;
    Nest nest;
    std::string column = "i" + std::to_string(columnDim());
    int64_t columns = sum().dims[columnDim()].extent.constant();
    int64_t lanes = machine_.lanes(std::max(byteSize(sum().body->dtype), 4));
    nest.splits = {{column, "all", "columns", columns, Tail::RoundUp}};
    if (columns <= lanes) {
      nest.vectorized = {"columns"};
      nest.order = {"columns", "all"};
    } else {
      nest.splits.push_back({"columns", "vector", "lane", lanes, columns % lanes == 0 ? Tail::RoundUp : Tail::Guard});
      nest.vectorized = {"lane"};
      nest.order = {"lane", "vector", "all"};
    }
    for (uint32_t d = columnDim(); d-- > 1;) {
      nest.order.push_back("i" + std::to_string(d));
    }
    if (!shareLoops(sink, nest)) {
      nest.order.push_back("i0");
      nest.parallel = {"i0"};
    }
    sink.stage.nests = {std::move(nest)};
    schedule_.outputs.push_back(std::move(sink));
  }

  /// Takes over how the output that the sums read runs over its first dim, if that is what its outermost loops do.
  bool shareLoops(OutputSchedule& sink, Nest& nest) {
    std::vector<uint32_t> read;
    for (size_t position = first_; position < ops().size(); ++position) {
      for (const Value* v : ops()[position]->operands) {
        if (v->def->kind == OpKind::Comp && !isTail(*v->def)) {
          read.push_back(analysis_.returnOf(v));
        }
      }
    }
    auto home = std::ranges::find_if(schedule_.outputs, [&](const OutputSchedule& output) {
      return std::ranges::all_of(
          read, [&](uint32_t index) { return std::ranges::find(output.returns, index) != output.returns.end(); });
    });
    if (home == schedule_.outputs.end() || home->stage.nests.size() != 1) {
      return false;
    }
    const Nest& theirs = home->stage.nests.front();
    std::vector<std::string> rowLoops = {"i0"};
    std::vector<Split> splits;
    for (const Split& split : theirs.splits) {
      auto found = std::ranges::find(rowLoops, split.loop);
      if (found != rowLoops.end()) {
        rowLoops.erase(found);
        rowLoops.push_back(split.outer);
        rowLoops.push_back(split.inner);
        splits.push_back(split);
      }
    }
    auto isRow = [&](const std::string& loop) { return std::ranges::find(rowLoops, loop) != rowLoops.end(); };
    size_t outer = 0; // how many of the outermost loops are over the first dim
    while (outer < theirs.order.size() && isRow(theirs.order[theirs.order.size() - 1 - outer])) {
      ++outer;
    }
    auto shared = theirs.order.end() - static_cast<std::ptrdiff_t>(outer);
    bool parallel = std::ranges::all_of(theirs.parallel, [&](const std::string& loop) {
      return std::find(shared, theirs.order.end(), loop) != theirs.order.end();
    });
    if (outer == 0 || !parallel) {
      return false;
    }
    nest.splits.insert(nest.splits.begin(), splits.begin(), splits.end());
    std::ranges::copy_if(theirs.order, std::back_inserter(nest.order), isRow);
    nest.parallel = theirs.parallel;
    std::copy_if(shared, theirs.order.end(), std::back_inserter(nest.undivided), [&](const std::string& loop) {
      return std::ranges::find(theirs.undivided, loop) != theirs.undivided.end();
    });
    sink.stage.withStage = "out" + std::to_string(home - schedule_.outputs.begin());
    sink.stage.withLoop = *shared;
    std::ranges::sort(read);
    read.erase(std::unique(read.begin(), read.end()), read.end());
    schedule_.reread = std::move(read);
    return true;
  }

  /// What the sums read besides is fetched with the tiles that write what they read.
  void fetchSummed() {
    auto tiled = std::ranges::find_if(schedule_.ops, [](const OpSchedule& how) {
      return how.stage.placement == Placement::At && !how.stage.tile.empty();
    });
    for (size_t position = first_; position < ops().size() && tiled != schedule_.ops.end(); ++position) {
      for (const Value* v : ops()[position]->operands) {
        bool input = v->def->kind == OpKind::Input && comesFromAfar(analysis_, machine_, *v);
        bool known = std::ranges::find(tiled->fetchedWithTile, analysis_.positionOf(*v->def), &FetchWithTile::input) !=
                     tiled->fetchedWithTile.end();
        bool asWritten = std::ranges::any_of(ops()[position]->operands, [&](const Value* written) {
          return written->def->kind != OpKind::Input && !isTail(*written->def) && written->type.dims == v->type.dims;
        });
        if (input && !known && asWritten) {
          tiled->fetchedWithTile.push_back({analysis_.positionOf(*v->def)});
        }
      }
    }
  }

  void addSums() {
    std::vector<const Op*> sums;
    for (size_t position = first_; position < ops().size(); ++position) {
      OpSchedule& how = schedule_.ops.emplace_back();
      how.op = static_cast<uint32_t>(position);
      how.beside = true;
      if (ops()[position]->reduction != Reduction::None) {
        how.stage.placement = Placement::At;
        how.stage.atStage = sink_;
        how.stage.atLoop = "all";
        sums.push_back(ops()[position]);
      }
    }
    joinBlockSums(analysis_, machine_, sums, schedule_);
    for (OpSchedule& how : schedule_.ops) {
      const Op& op = *ops()[how.op];
      if (how.beside && op.reduction != Reduction::None && !how.joinedWith) {
        scheduleBlockSum(analysis_, machine_, op, 1, how);
      }
    }
  }
};

} // namespace

std::optional<Schedule> scheduleBeside(const Analysis& analysis, const Machine& machine, Sums sums) {
  return Beside(analysis, machine).run(sums);
}

} // namespace dnn::schedule
