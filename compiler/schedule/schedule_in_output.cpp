// A reduction in tiles of registers (schedule_rows.cpp) whose result is read place by place: each tile is made where
// the output needs it, so that its sums are never stored.
//
//   for each place, each tile of columns of the output
//     the reduction's tile, in registers
//     the output's vectors
#include "compiler/schedule/templates.h"

#include <algorithm>
#include <set>

namespace dnn::schedule {

using graph::Op;
using graph::Value;

namespace {

class TilePlacer {
public:
  TilePlacer(const Analysis& analysis, Schedule& schedule) : analysis_(analysis), schedule_(schedule) {}

  void run() {
    for (OpSchedule& how : schedule_.ops) {
      const Op& op = *analysis_.function.body.ops[how.op];
      if (!isTiled(how) || (analysis_.escapes(op.results[0]) && !isArg(op.reduction))) {
        continue;
      }
      std::set<uint32_t> read; // returns that read it
      if (isReadPointwise(op, read) && !read.empty()) {
        move(op, how, read);
      }
    }
  }

private:
  const Analysis& analysis_;
  Schedule& schedule_;
  std::set<const OutputSchedule*> taken_; // its loops are those of another op

  static bool isTiled(const OpSchedule& how) {
    return how.accumulator && how.accumulator->pieces == 1 && how.accumulator->chains == 1 && how.joined.empty() &&
           !how.joinedWith && !how.beside && how.stage.placement == Placement::Root;
  }

  /// All that is computed from the result is inlined into returns, each element from that at its own place.
  bool isReadPointwise(const Op& op, std::set<uint32_t>& read) const {
    const Value* v = op.results[0];
    if (analysis_.escapes(v)) {
      read.insert(analysis_.returnOf(v));
    }
    return std::ranges::all_of(analysis_.usersOf(v), [&](const Op* user) {
      return isElementwise(*user) && isInlined(analysis_, schedule_, *user) && usesPointwise(*user, v) &&
             isReadPointwise(*user, read);
    });
  }

  void move(const Op& op, OpSchedule& how, const std::set<uint32_t>& read) {
    auto writesSome = [&](const OutputSchedule& output) {
      return std::ranges::any_of(output.returns, [&](uint32_t index) { return read.contains(index); });
    };
    auto home = std::ranges::find_if(schedule_.outputs, writesSome);
    bool fits = home != schedule_.outputs.end() && std::ranges::count_if(schedule_.outputs, writesSome) == 1 &&
                home->stage.placement == Placement::Root && home->stage.withStage.empty() &&
                !analysis_.dependsOnOverwritten(op.results[0]);
    for (uint32_t index : fits ? home->returns : std::vector<uint32_t>{}) {
      const Value* v = analysis_.function.returns[index];
      fits = fits && !analysis_.isInPlace(v) && (v->def == &op || isElementwise(*v->def)) &&
             v->type.dims == op.results[0]->type.dims;
    }
    if (!fits || taken_.contains(&*home)) {
      return;
    }
    taken_.insert(&*home);
    std::string name = "out" + std::to_string(home - schedule_.outputs.begin());
    home->stage.nests = std::move(how.stage.nests);
    how.stage = std::move(how.accumulator->stage);
    how.stage.atStage = name;
    how.accumulator.reset();
  }
};

} // namespace

void placeTilesInOutputs(const Analysis& analysis, Schedule& schedule) { TilePlacer(analysis, schedule).run(); }

} // namespace dnn::schedule
