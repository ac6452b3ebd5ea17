#include "compiler/codegen/halide/pipeline.h"
#include "compiler/support/assert.h"

#include <algorithm>
#include <iterator>

namespace dnn::codegen {

namespace {

Halide::TailStrategy strategyOf(schedule::Tail tail) {
  switch (tail) {
  case schedule::Tail::Guard: return Halide::TailStrategy::GuardWithIf;
  case schedule::Tail::Predicate: return Halide::TailStrategy::Predicate;
  case schedule::Tail::RoundUp: return Halide::TailStrategy::RoundUp;
  case schedule::Tail::Shift: return Halide::TailStrategy::ShiftInwards;
  }
  DNN_UNREACHABLE("every tail has a strategy");
}

bool isPlain(const schedule::Nest& nest) {
  return nest.splits.empty() && nest.order.size() < 2 && nest.vectorized.empty() && nest.unrolled.empty() &&
         nest.parallel.empty();
}

const Halide::VarOrRVar* findReduced(const Stage& stage, const std::string& loop) {
  for (const std::optional<LoopNames>& loops : stage.loops) {
    if (!loops) {
      continue;
    }
    auto found = loops->find(loop);
    if (found != loops->end() && found->second.is_rvar) {
      return &found->second;
    }
  }
  return nullptr;
}

void applyNest(Halide::Stage definition, const schedule::Nest& nest, LoopNames& loops) {
  auto find = [&](const std::string& name) -> const Halide::VarOrRVar& {
    auto found = loops.find(name);
    DNN_ASSERT(found != loops.end(), "a schedule names loops that exist");
    return found->second;
  };
  for (const schedule::Split& split : nest.splits) {
    Halide::VarOrRVar old = find(split.loop);
    auto fresh = [&](const std::string& name) {
      return old.is_rvar ? Halide::VarOrRVar(Halide::RVar(name)) : Halide::VarOrRVar(Halide::Var(name));
    };
    Halide::VarOrRVar outer = fresh(split.outer), inner = fresh(split.inner);
    definition.split(old, outer, inner, static_cast<int32_t>(split.factor), strategyOf(split.tail));
    loops.erase(split.loop);
    loops.emplace(split.outer, outer);
    loops.emplace(split.inner, inner);
  }
  if (nest.order.size() > 1) {
    std::vector<Halide::VarOrRVar> order;
    for (const std::string& loop : nest.order) {
      order.push_back(find(loop));
    }
    definition.reorder(order);
  }
  for (const std::string& loop : nest.vectorized) {
    if (loop == "l") {
      definition.atomic(); // the lanes of a reduction are combined within a vector
    }
    definition.vectorize(find(loop));
  }
  for (const std::string& loop : nest.unrolled) {
    definition.unroll(find(loop));
  }
  for (const std::string& loop : nest.parallel) {
    definition.parallel(find(loop));
    definition.never_partition(find(loop)); // a copy of a task for each end of the loop would be compiled for nothing
  }
  for (const std::string& loop : nest.undivided) {
    definition.never_partition(find(loop));
  }
}

} // namespace

void applySchedule(Stage& stage, const schedule::StageSchedule& how, const std::map<std::string, Stage>& stages) {
  switch (how.placement) {
  case schedule::Placement::Inline: break; // has no loops
  case schedule::Placement::Root: stage.func.compute_root(); break;
  case schedule::Placement::At: {
    const Stage& home = stages.at(how.atStage);
    // A loop that comes from a split is named, not looked up; one over reduced indices has a name of Halide's.
    const Halide::VarOrRVar* reduced = findReduced(home, how.atLoop);
    if (reduced != nullptr) {
      stage.func.compute_at(home.func, reduced->rvar);
    } else {
      stage.func.compute_at(home.func, Halide::Var(how.atLoop));
    }
    break;
  }
  }
  if (!how.withStage.empty()) {
    stage.func.compute_with(stages.at(how.withStage).func, Halide::Var(how.withLoop));
  }
  for (const auto& [loop, points] : how.tile) {
    stage.func.bound_extent(Halide::Var(loop), static_cast<int32_t>(points));
  }
  if (!how.innermost.empty()) {
    std::vector<Halide::Var> order(how.innermost.begin(), how.innermost.end());
    std::ranges::copy_if(stage.func.args(), std::back_inserter(order),
                         [&](const Halide::Var& v) { return std::ranges::count(how.innermost, v.name()) == 0; });
    stage.func.reorder_storage(order);
  }
  int updates = 0;
  for (size_t i = 0; i < stage.loops.size(); ++i) {
    if (!stage.loops[i]) {
      continue; // a definition that this kernel's extents make unnecessary
    }
    Halide::Stage definition = i == 0 ? Halide::Stage(stage.func) : stage.func.update(updates++);
    if (i < how.nests.size() && !isPlain(how.nests[i])) {
      applyNest(definition, how.nests[i], *stage.loops[i]);
    } else if (i > 0) {
      definition.unscheduled(); // plain loops are meant, not forgotten
    }
  }
}

} // namespace dnn::codegen
