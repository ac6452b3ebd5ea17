#include "compiler/graph/affine.h"
#include "compiler/schedule/templates.h"
#include "compiler/support/assert.h"

#include <algorithm>
#include <map>

namespace dnn::schedule {

using graph::Op;
using graph::OpKind;
using graph::Value;

namespace {

/// Of a reduction, written out where it is read.
constexpr double mostTermsInlined = 4;

double bodyCost(const Op& op) {
  switch (op.kind) {
  case OpKind::Reshape: return 6.0 * static_cast<double>(op.results[0]->type.rank());
  case OpKind::Concat: return 4.0 * static_cast<double>(op.operands.size());
  default: return costOf(op.body);
  }
}

bool computes(const Op& op) {
  return op.kind == OpKind::Comp || op.kind == OpKind::Scatter || op.kind == OpKind::Reshape ||
         op.kind == OpKind::Concat;
}

/// Decides from the last op to the first, because how often an op runs depends on its users.
class Placer {
public:
  Placer(const Analysis& analysis, const Op* anchor, bool byRows)
      : analysis_(analysis), anchor_(anchor), byRows_(byRows) {}

  Schedule run() {
    Schedule schedule;
    const std::vector<Op*>& ops = analysis_.function.body.ops;
    for (const Op* op : ops) {
      if (computes(*op)) {
        inlineCost_[op] = costWhenInlined(*op);
      }
    }
    for (auto it = ops.rbegin(); it != ops.rend(); ++it) {
      if (computes(**it)) {
        place(**it);
      }
    }
    for (const Op* op : ops) {
      if (computes(*op)) {
        OpSchedule how;
        how.op = analysis_.positionOf(*op);
        how.stage.placement = inlined_.at(op) ? Placement::Inline : Placement::Root;
        how.writtenOut = inlined_.at(op) && op->reduction != Reduction::None;
        if (op->body != nullptr && analysis_.points(*op) > 1) {
          collectUniform(*op, op->body, how.once);
        }
        schedule.ops.push_back(std::move(how));
      }
    }
    collectOutputs(schedule);
    return schedule;
  }

private:
  const Analysis& analysis_;
  const Op* anchor_;
  bool byRows_;
  std::map<const Op*, double> inlineCost_;
  std::map<const Op*, double> evaluations_; // how often an inlined op is evaluated
  std::map<const Op*, bool> inlined_;

  /// How many residues of its places the user chooses from, if it reads v at places divided by as many (i/2 where i is
  /// even): it reads v for one of them, as it does when the residues are written out.
  int64_t residuesBetween(const Op& user, const Value* v) const {
    int64_t residues = 1;
    if (user.kind == OpKind::Comp && isElementwise(user)) {
      graph::forEachNode(user.body, [&](graph::ExprRef e) {
        if (!graph::isModByConstant(e) || e->args[0]->kind != graph::ExprKind::Index) {
          return;
        }
        bool divides = false;
        graph::forEachNode(user.body, [&](graph::ExprRef access) {
          if (access->kind == graph::ExprKind::Access && user.operands[access->operand] == v) {
            divides |= std::ranges::any_of(access->args, [&](graph::ExprRef subscript) {
              return graph::isDivByConstant(subscript) && subscript->args == e->args;
            });
          }
        });
        residues *= divides ? graph::divisorOf(e) : 1;
      });
    }
    return residues;
  }

  /// A reduction of a few terms that one op alone reads, for one residue of its places.
  bool isOfOneResidue(const Op& op) const {
    const std::vector<const Op*>& users = analysis_.usersOf(op.results[0]);
    bool few = op.kind == OpKind::Comp &&
               (op.reduction == Reduction::Add || op.reduction == Reduction::Max || op.reduction == Reduction::Min);
    double terms = 1;
    for (const graph::IndexVar& index : op.reduced) {
      few = few && index.extent.isStatic();
      terms *= static_cast<double>(analysis_.maxOf(index.extent));
    }
    return few && terms <= mostTermsInlined && users.size() == 1 && !analysis_.escapes(op.results[0]) &&
           !analysis_.dependsOnOverwritten(op.results[0]) && !dependsOnAnchor(op) &&
           residuesBetween(*users[0], op.results[0]) > 1;
  }

  /// The op's body and everything elementwise below it, as if all of that were inlined.
  double costWhenInlined(const Op& op) const {
    double cost = bodyCost(op);
    for (const Value* v : op.operands) {
      auto below = inlineCost_.find(v->def);
      if (below != inlineCost_.end() && isElementwise(*v->def)) {
        cost += below->second;
      }
    }
    return cost;
  }

  void place(const Op& op) {
    const Value* v = op.results[0];
    double runs = analysis_.escapes(v) ? analysis_.elements(*v) : 0;
    for (const Op* user : analysis_.usersOf(v)) {
      runs += (inlined_.at(user) ? evaluations_.at(user) : analysis_.points(*user)) /
              static_cast<double>(residuesBetween(*user, v));
    }
    evaluations_[&op] = runs;
    if (!isElementwise(op)) {
      inlined_[&op] = isOfOneResidue(op);
    } else if ((analysis_.dependsOnOverwritten(v) && !byRows_) || dependsOnAnchor(op)) {
      inlined_[&op] = true;
    } else {
      // A buffer costs a store and loads; computing again costs the body.
      double elements = analysis_.elements(*v);
      bool once = runs <= elements * 1.01;
      inlined_[&op] = once || runs * inlineCost_.at(&op) <= elements * (inlineCost_.at(&op) + 4) + runs * 3;
    }
  }

  /// The largest parts without an index that are worth a variable. They read scalars only.
  void collectUniform(const Op& op, graph::ExprRef e, std::vector<graph::ExprRef>& parts) const {
    if (std::ranges::find(parts, e) != parts.end()) {
      return;
    }
    bool uniform = true;
    graph::forEachNode(e, [&](graph::ExprRef node) {
      uniform &= node->kind != graph::ExprKind::Index;
      uniform &= node->kind != graph::ExprKind::Access || !analysis_.dependsOnOverwritten(op.operands[node->operand]);
    });
    if (!uniform) {
      for (graph::ExprRef arg : e->args) {
        collectUniform(op, arg, parts);
      }
    } else if (e->kind == graph::ExprKind::Apply && costOf(e) > 4) {
      parts.push_back(e);
    }
  }

  bool dependsOnAnchor(const Op& op) const {
    if (anchor_ == nullptr) {
      return false;
    }
    return std::ranges::any_of(op.operands, [&](const Value* v) {
      return v->def == anchor_ || (computes(*v->def) && isElementwise(*v->def) && dependsOnAnchor(*v->def));
    });
  }

  /// Escapes without a buffer of their own, those of equal dimensions together. Argmax has a buffer of pairs, and the
  /// anchor one of a tile, so they need a stage that writes the result.
  void collectOutputs(Schedule& schedule) const {
    for (uint32_t index = 0; index < analysis_.function.returns.size(); ++index) {
      const Value* v = analysis_.function.returns[index];
      if (!inlined_.at(v->def) && v->def != anchor_ && !isArg(v->def->reduction)) {
        continue;
      }
      auto fits = [&](const OutputSchedule& output) {
        return analysis_.function.returns[output.returns.front()]->type.dims == v->type.dims;
      };
      auto found = std::ranges::find_if(schedule.outputs, fits);
      if (found == schedule.outputs.end()) {
        schedule.outputs.push_back({});
        found = schedule.outputs.end() - 1;
        found->stage.placement = Placement::Root;
      }
      found->returns.push_back(index);
    }
  }
};

} // namespace

Schedule placeStages(const Analysis& analysis, const Op* anchor, bool byRows) {
  return Placer(analysis, anchor, byRows).run();
}

bool isInlined(const Analysis& analysis, const Schedule& schedule, const Op& op) {
  return std::ranges::any_of(schedule.ops, [&](const OpSchedule& how) {
    return how.stage.placement == Placement::Inline && analysis.function.body.ops[how.op] == &op;
  });
}

Schedule scheduleGeneral(const Analysis& analysis, const Machine& machine) {
  Schedule schedule = placeStages(analysis, nullptr);
  schedule.family = "general";
  scheduleLoops(analysis, machine, schedule, nullptr);
  joinShortReductions(analysis, machine, schedule);
  placeTilesInOutputs(analysis, schedule);
  return schedule;
}

namespace {

/// Tasks of the outermost dimension; of a few thousand elements where there may be any number of them.
Nest plainTasks(const Analysis& analysis, const Machine& machine, const Dim& outermost) {
  constexpr int64_t mostOfAnySize = 1 << 12;
  int64_t size = taskSize(machine, analysis.maxOf(outermost));
  size = outermost.isStatic() ? size : std::min(size, mostOfAnySize);
  Nest nest;
  nest.splits.push_back({"i0", "task", "i0_piece", size, Tail::Guard});
  nest.parallel.push_back("task");
  return nest;
}

} // namespace

std::optional<Schedule> schedulePlain(const Analysis& analysis, const Machine& machine) {
  constexpr double mostInstructions = 1 << 24; // about 5 ms
  double instructions = 0;
  for (const Op* op : analysis.function.body.ops) {
    if (computes(*op)) {
      instructions += bodyCost(*op) * analysis.points(*op);
    }
  }
  if (!analysis.kernel.once || instructions > mostInstructions) {
    return std::nullopt;
  }
  Schedule schedule = placeStages(analysis, nullptr);
  schedule.family = "plain";
  for (OutputSchedule& output : schedule.outputs) {
    const std::vector<Dim>& dims = analysis.function.returns[output.returns.front()]->type.dims;
    bool fresh = std::ranges::none_of(analysis.kernel.inPlace, [](const auto& input) { return input.has_value(); });
    if (instructions >= parallelWork && fresh && !dims.empty() && analysis.maxOf(dims[0]) > 1) {
      output.stage.nests.push_back(plainTasks(analysis, machine, dims[0]));
    }
  }
  return schedule;
}

void scheduleLoops(const Analysis& analysis, const Machine& machine, Schedule& schedule, const Op* anchor) {
  for (OpSchedule& how : schedule.ops) {
    const Op& op = *analysis.function.body.ops[how.op];
    if (how.stage.placement == Placement::Inline || &op == anchor) {
      continue;
    }
    const TensorType& type = op.results[0]->type;
    if (op.kind == OpKind::Comp && op.reduction != Reduction::None && isShortReduction(analysis, op)) {
      scheduleShortReduction(analysis, machine, op, how);
    } else if (op.kind == OpKind::Comp && op.reduction != Reduction::None) {
      scheduleReduction(analysis, machine, op, how);
    } else if (op.kind == OpKind::Scatter) {
      // The zeros in vectors; the sums one by one in order, so that the result is always the same.
      how.stage.nests = {elementwiseNest(analysis, machine, type.dims, byteSize(type.dtype), 1, Loads::Forward),
                         Nest{}};
    } else {
      how.stage.nests = {elementwiseNest(analysis, machine, type.dims, byteSize(type.dtype), bodyCost(op),
                                         analysis.loadsOf(op), chainsOf(bodyCost(op)))};
      writeOutJoined(analysis, machine, schedule, op, how.stage.nests.front());
      writeOutResidues(analysis, schedule, op, how.stage.nests.front());
    }
  }
  for (OutputSchedule& output : schedule.outputs) {
    if (!output.stage.nests.empty()) {
      continue;
    }
    double cost = 0;
    int bytes = 8;
    Loads loads = Loads::Forward;
    for (uint32_t index : output.returns) {
      const Value* v = analysis.function.returns[index];
      cost += bodyCost(*v->def);
      bytes = std::min(bytes, byteSize(v->type.dtype));
      loads = isElementwise(*v->def) ? std::max(loads, analysis.loadsOf(*v->def)) : loads;
    }
    const std::vector<Dim>& dims = analysis.function.returns[output.returns.front()]->type.dims;
    Nest nest = elementwiseNest(analysis, machine, dims, bytes, cost, loads, chainsOf(cost));
    for (uint32_t index : output.returns) {
      const Op& op = *analysis.function.returns[index]->def;
      if (isElementwise(op)) {
        writeOutJoined(analysis, machine, schedule, op, nest);
        writeOutResidues(analysis, schedule, op, nest);
      }
    }
    // In place there is an empty definition first.
    bool inPlace = std::ranges::any_of(output.returns, [&](uint32_t index) {
      return index < analysis.kernel.inPlace.size() && analysis.kernel.inPlace[index].has_value();
    });
    if (inPlace) {
      for (Split& split : nest.splits) {
        split.tail = Tail::Guard;
      }
      output.stage.nests.push_back({});
    }
    output.stage.nests.push_back(std::move(nest));
  }
}

} // namespace dnn::schedule
