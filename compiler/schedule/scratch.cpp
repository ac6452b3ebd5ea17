#include "compiler/schedule/scratch.h"

#include "compiler/schedule/analysis.h"

#include <algorithm>

namespace dnn::schedule {

namespace {

int64_t roundedUp(int64_t value, int64_t multiple) {
  return multiple > 1 ? (value + multiple - 1) / multiple * multiple : value;
}

/// Of so many points of the loop the stage is computed at a time; 1 where it does not say.
int64_t tileOf(const StageSchedule& stage, const std::string& loop) {
  auto found = std::ranges::find(stage.tile, loop, &std::pair<std::string, int64_t>::first);
  return found == stage.tile.end() ? 1 : found->second;
}

class Counter {
public:
  Counter(const Kernel& kernel, const Schedule& schedule) : analysis_(kernel), schedule_(schedule) {}

  Scratch count() {
    for (const OpSchedule& how : schedule_.ops) {
      count(how, *analysis_.function.body.ops[how.op]);
    }
    return scratch_;
  }

private:
  void count(const OpSchedule& how, const graph::Op& op) {
    const graph::Value& value = *op.results[0];
    int64_t bytes = static_cast<int64_t>(analysis_.elements(value)) * byteSize(value.type.dtype);
    if (how.stage.placement == Placement::Root && !writesReturn(op)) {
      scratch_.shared += bytes;
    }
    if (how.accumulator && how.accumulator->pieces > 1) {
      add(how.accumulator->partial, how.accumulator->pieces * bytes);
    }
    if (how.blocks && how.blocks->partial.placement == Placement::Root) {
      scratch_.shared += how.blocks->pieces * bytes;
    }
    for (const Pack& pack : how.packs) {
      add(pack.stage, elementsOf(pack, op) * byteSize(pack.part->dtype));
    }
    for (const Halo& halo : how.halos) {
      add(halo.stage, elementsOf(halo) * byteSize(halo.part->dtype));
    }
    if (how.winograd) {
      count(*how.winograd, op);
    }
    if (how.winogradSums) {
      count(*how.winogradSums);
    }
  }

  void count(const Winograd& how, const graph::Op& op) {
    int64_t planes = (how.outputs + 2) * (how.outputs + 2);
    int64_t channels = analysis_.maxOf(op.reduced[how.channel].extent);
    const StageSchedule& data = how.data.points;
    add(how.weightPoints, planes * channels * how.columns * real);
    add(data, planes * channels * tileOf(data, "tx") * tileOf(data, "ty") * real);
    add(how.products, planes * how.columns * tileOf(how.products, "tx") * tileOf(how.products, "ty") * real);
  }

  void count(const WinogradSums& how) {
    constexpr int64_t planes = 36;
    int64_t sums = planes * how.channels * how.columns * real;
    auto blocks = [](const StageSchedule& stage) {
      return tileOf(stage, "tx") * tileOf(stage, "ty") * tileOf(stage, "n");
    };
    add(how.partial, how.pieces * sums);
    add(how.sums, sums);
    add(how.resultRows, sums / 2);
    add(how.data.points, planes * how.channels * blocks(how.data.points) * real);
    add(how.factorPoints, planes * how.columns * blocks(how.factorPoints) * real);
  }

  void add(const StageSchedule& stage, int64_t bytes) {
    switch (stage.placement) {
    case Placement::Inline: break;
    case Placement::Root: scratch_.shared += bytes; break;
    case Placement::At: scratch_.perThread += bytes; break;
    }
  }

  int64_t elementsOf(const Pack& pack, const graph::Op& op) const {
    bool panel = pack.stage.placement == Placement::At && pack.multiple > 0; // one at a time
    int64_t count =
        panel ? pack.multiple : roundedUp(std::max(analysis_.extentOf(op, pack.along), pack.pitch), pack.multiple);
    size_t whole = pack.others.size() - (pack.stage.placement == Placement::At ? pack.outside : 0);
    for (size_t i = 0; i < whole; ++i) {
      count *= analysis_.extentOf(op, pack.others[i]);
    }
    return count;
  }

  static int64_t elementsOf(const Halo& halo) {
    int64_t count = 1;
    for (size_t s = 0; s < halo.bounds.size(); ++s) {
      int64_t places = halo.bounds[s] ? halo.bounds[s]->second : tileOf(halo.stage, "s" + std::to_string(s));
      count *= s + 1 == halo.bounds.size() ? std::max(places, halo.pitch) : places;
    }
    return count;
  }

  /// Whether the op's stage writes a return of the kernel, and so needs no buffer.
  bool writesReturn(const graph::Op& op) const {
    const graph::Value* value = op.results[0];
    return analysis_.escapes(value) && std::ranges::none_of(schedule_.outputs, [&](const OutputSchedule& output) {
             return std::ranges::count(output.returns, analysis_.returnOf(value)) > 0;
           });
  }

  static constexpr int64_t real = 4; // bytes: Winograd's sums are of f32
  const Analysis analysis_;
  const Schedule& schedule_;
  Scratch scratch_;
};

} // namespace

Scratch scratchOf(const Kernel& kernel, const Schedule& schedule) { return Counter(kernel, schedule).count(); }

} // namespace dnn::schedule
