// fuse: puts every op that computes into a group; each group becomes one kernel.
//
//   %s = comp … add [k] { mul(%x[n, k], %w[k, o]) }        group contraction { %s = …  %y = … } -> (%y)
//   %y = comp … { max(add(%s[n, o], %b[o]), 0) }      →
//
// A group is one contraction with the elementwise ops before and after it that share its result's dimensions (bias,
// activation, loss gradient, the whole optimizer update); or ops that work row by row on the same rows (softmax and
// cross-entropy, forward and backward, with the mean of the loss). Nothing is computed more often than before: a
// reduction keeps a stage of its own. Joining two groups must not make a cycle: no other path may lead from one to the
// other.
#include "compiler/schedule/analysis.h"
#include "compiler/schedule/row_form.h"
#include "compiler/schedule/window.h"
#include "compiler/support/assert.h"
#include "compiler/transform/fuse_rules.h"
#include "compiler/transform/fuse_share_parts.h"
#include "compiler/transform/pass_manager.h"

#include <algorithm>
#include <optional>
#include <queue>

namespace dnn::transform {

namespace {

using graph::Function;
using graph::Op;
using graph::OpKind;
using graph::Value;

class Fuser {
public:
  Fuser(Function& function, graph::Block& block) : function_(function), block_(block), ops_(block.ops) {}

  void run() {
    for (size_t i = 0; i < ops_.size(); ++i) {
      home_[ops_[i]] = position_[ops_[i]] = i;
      members_.push_back({ops_[i]});
      isContraction_.push_back(schedule::isContraction(*ops_[i], function_.symbols));
      rank_.push_back(i);
      ranked_.push_back(i);
    }
    for (Op* op : ops_) {
      fusePrologue(*op);
    }
    // Epilogues before rows: an elementwise op saves the most beside the product that it finishes.
    for (Op* op : ops_) {
      fuseWithContraction(*op);
    }
    for (Op* op : ops_) {
      fuseWithContraction(*op); // what an epilogue reads besides, now that it is one
    }
    for (const Op* op : ops_) {
      fuseWindows(*op);
    }
    for (Op* op : ops_) {
      fuseByRows(*op);
    }
    fuseBlockSums();
    for (Op* op : ops_) {
      fuseBesideWindow(*op);
    }
    emit();
  }

private:
  Function& function_;
  graph::Block& block_;
  std::vector<Op*> ops_;                           // in their first order
  std::unordered_map<const Op*, size_t> position_; // in that order
  std::unordered_map<const Op*, size_t> home_;     // the group of each op of the block: index into members_
  std::vector<std::vector<Op*>> members_;          // in order; empty = joined to another
  std::vector<bool> isContraction_;                // the group holds a contraction
  std::unordered_set<const Op*> prologues_;        // are computed where a contraction copies them
  std::unordered_set<size_t> hasWindows_;          // groups that end with reductions over windows
  static constexpr size_t none = SIZE_MAX;
  std::vector<size_t> rank_;   // of each group: larger than that of every group that it depends on
  std::vector<size_t> ranked_; // the groups by rank, `none` where two became one

  /// What a sum over windows copies block by block before it uses it, and nobody else reads, is computed then: if it is
  /// made of what is stored anyway.
  void fusePrologue(const Op& op) {
    for (const Value* v : op.operands) {
      auto home = home_.find(v->def);
      if (home == home_.end() || !copiesWithBorder(op, v, function_.symbols) || uses().of(v).size() != 1 ||
          uses().returned(v)) {
        continue;
      }
      const Value* source = prologueSource(*v->def, function_.symbols);
      if (source != nullptr && uses().of(source).size() > 1) {
        prologues_.insert(v->def);
        join(home_.at(&op), home->second);
      }
    }
  }

  /// Groups that define operands of op, the latest first: joining the latest is the least likely to make a cycle.
  std::vector<std::pair<size_t, const Value*>> producersOf(const Op& op) const {
    std::vector<std::pair<size_t, const Value*>> producers;
    for (const Value* v : op.operands) {
      auto home = home_.find(v->def);
      if (home != home_.end() && isFusible(*v->def)) {
        producers.emplace_back(home->second, v);
      }
    }
    std::ranges::sort(producers, [](const auto& a, const auto& b) { return a.first > b.first; });
    return producers;
  }

  Op* contractionOf(size_t group) const {
    for (Op* op : members_[group]) {
      if (schedule::isContraction(*op, function_.symbols)) {
        return op;
      }
    }
    return nullptr;
  }

  void fuseWithContraction(Op& op) {
    if (op.kind != OpKind::Comp || op.reduction != Reduction::None) {
      return;
    }
    for (auto [producer, v] : producersOf(op)) {
      size_t own = home_.at(&op);
      producer = home_.at(v->def);
      if (producer == own || !schedule::usesPointwise(op, v) || (isContraction_[own] && isContraction_[producer])) {
        continue;
      }
      if (isContraction_[own] || isContraction_[producer]) {
        size_t withAnchor = isContraction_[own] ? own : producer;
        const std::vector<Op*>& others = members_[withAnchor == own ? producer : own];
        if (!fitsContraction(*contractionOf(withAnchor), others)) {
          continue;
        }
        join(own, producer);
      }
    }
  }

  /// Reductions over windows of what a sum over windows and its epilogue make, if that is all it is made for: the
  /// kernel then never stores it.
  void fuseWindows(const Op& maker) {
    size_t group = home_.at(&maker);
    if (!isContraction_[group] || !schedule::isElementwise(maker) || !isFloat(maker.results[0]->type.dtype)) {
      return;
    }
    const Value* v = maker.results[0];
    std::vector<Op*> readers = uses().of(v);
    bool outside =
        members_[group].size() + readers.size() <= maxOpsInGroup && std::ranges::all_of(readers, [&](const Op* reader) {
          auto home = home_.find(reader);
          return home != home_.end() && members_[home->second].size() == 1;
        });
    std::vector<Value*> results = resultsOf(members_[group]);
    if (!outside || !reduceWindows(readers, v) || uses().returned(v) || results != std::vector{maker.results[0]} ||
        !schedule::readsWindow(*contractionOf(group))) {
      return;
    }
    for (const Op* reader : readers) {
      join(home_.at(&maker), home_.at(reader));
    }
    hasWindows_.insert(home_.at(&maker));
  }

  void fuseByRows(Op& op) {
    if (!isFusible(op)) {
      return;
    }
    for (auto [producer, v] : producersOf(op)) {
      size_t own = home_.at(&op);
      producer = home_.at(v->def);
      if (producer != own && !isContraction_[own] && !isContraction_[producer] && op.kind != OpKind::Concat &&
          v->def->kind != OpKind::Concat && readsInRowOrder(op, v) && blocksFit(op, own, producer)) {
        join(own, producer);
      }
    }
  }

  /// Sums over blocks stay with what runs block by block: the groups of op and of what it reads, if any of them has
  /// one.
  bool blocksFit(const Op& op, size_t own, size_t producer) const {
    const Op* sum = nullptr;
    for (size_t group : {own, producer}) {
      for (const Op* member : members_[group]) {
        sum = std::ranges::any_of(member->operands, [&](const Value* v) { return sumsBlocks(*member, v); }) ? member
                                                                                                            : sum;
      }
    }
    auto fits = [&](const Op* member) { return fitsBlocks(*sum, *member); };
    return sum == nullptr ||
           (fits(&op) && std::ranges::all_of(members_[own], fits) && std::ranges::all_of(members_[producer], fits));
  }

  /// Sums over the same blocks of one tensor read it once.
  void fuseBlockSums() {
    std::unordered_map<const Value*, const Op*> first;
    for (const Op* op : ops_) {
      for (const Value* v : op->operands) {
        if (!sumsBlocks(*op, v)) {
          continue;
        }
        const Op* other = first.try_emplace(v, op).first->second;
        size_t own = home_.at(op), group = home_.at(other);
        if (own != group && !isContraction_[own] && !isContraction_[group] && blocksFit(*op, own, group)) {
          join(group, own);
        }
      }
    }
  }

  /// Sums over blocks of what a sum over windows, or its epilogue, leaves behind: made while a block is in the cache.
  void fuseBesideWindow(const Op& op) {
    for (const Value* v : op.operands) {
      auto home = home_.find(v->def);
      size_t own = home_.at(&op);
      if (home == home_.end() || isContraction_[own] || !isContraction_[home->second] ||
          hasWindows_.contains(home->second) || !sumsBlocks(op, v)) {
        continue;
      }
      size_t maker = home->second;
      bool fits =
          schedule::readsWindow(*contractionOf(maker)) && std::ranges::all_of(members_[own], [&](const Op* member) {
            return member->dims.size() == op.dims.size() && fitsBlocks(op, *member) && readsKept(*member, own, maker);
          });
      if (fits) {
        join(maker, own);
      }
    }
  }

  /// What the op reads of the maker, it sums, and others than its own group read it too.
  bool readsKept(const Op& op, size_t own, size_t maker) {
    return std::ranges::all_of(op.operands, [&](const Value* v) {
      auto home = home_.find(v->def);
      if (home == home_.end() || home->second != maker) {
        return true;
      }
      bool kept = uses().returned(v) || std::ranges::any_of(uses().of(v), [&](const Op* user) {
                    auto group = home_.find(user);
                    return group == home_.end() || (group->second != own && group->second != maker);
                  });
      return kept && sumsBlocks(op, v);
    });
  }

  /// The groups between `from` and `to` in the order of ranks that `to` depends on; none if one of them depends on
  /// `from`. What would take long to find out counts as that, so that the time of fusion stays linear in the depth of a
  /// network: groups that far apart have the loss between them.
  std::optional<std::vector<size_t>> neededBetween(size_t from, size_t to) const {
    constexpr size_t maxSeen = 1000;
    std::unordered_set<size_t> seen;
    std::vector<size_t> work = {to};
    while (!work.empty()) {
      size_t group = work.back();
      work.pop_back();
      for (const Op* op : members_[group]) {
        for (const Value* v : op->operands) {
          auto home = home_.find(v->def);
          if (home == home_.end() || home->second == to) {
            continue; // from around the block, or its own
          }
          size_t before = home->second;
          if (before == from && group != to) {
            return std::nullopt;
          }
          if (rank_[before] > rank_[from] && seen.insert(before).second) {
            work.push_back(before);
          }
        }
      }
      if (seen.size() > maxSeen) {
        return std::nullopt;
      }
    }
    std::vector<size_t> needed(seen.begin(), seen.end());
    std::ranges::sort(needed, {}, [&](size_t group) { return rank_[group]; });
    return needed;
  }

  void join(size_t a, size_t b) {
    if (members_[a].size() + members_[b].size() > maxOpsInGroup) {
      return;
    }
    size_t early = rank_[a] < rank_[b] ? a : b, late = early == a ? b : a;
    auto needed = neededBetween(early, late);
    if (!needed) {
      return;
    }
    if (b < a) {
      std::swap(a, b);
    }
    rankJoined(early, late, a, *needed);
    for (Op* op : members_[b]) {
      home_[op] = a;
      members_[a].push_back(op);
    }
    members_[b].clear();
    isContraction_[a] = isContraction_[a] || isContraction_[b];
  }

  /// Gives `joined`, which is one of early and late, the place behind the groups that late needs and before all others
  /// between the two: these may need early, and none of the needed ones needs them.
  void rankJoined(size_t early, size_t late, size_t joined, const std::vector<size_t>& needed) {
    size_t first = rank_[early], end = rank_[late] + 1;
    std::vector<size_t> order = needed;
    order.push_back(joined);
    std::unordered_set<size_t> placed(needed.begin(), needed.end());
    for (size_t rank = first; rank < end; ++rank) {
      size_t group = ranked_[rank];
      if (group != none && group != early && group != late && !placed.contains(group)) {
        order.push_back(group);
      }
    }
    order.resize(end - first, none);
    for (size_t i = 0; i < order.size(); ++i) {
      ranked_[first + i] = order[i];
      if (order[i] != none) {
        rank_[order[i]] = first + i;
      }
    }
  }

  static std::string anchorOf(const std::vector<Op*>& members, bool contraction) {
    auto has = [&](auto&& test) { return std::ranges::any_of(members, test); };
    if (contraction) {
      return "contraction";
    }
    if (has([](const Op* op) { return op->kind == OpKind::Scatter; })) {
      return "scatter";
    }
    if (has([](const Op* op) { return op->kind == OpKind::Comp && op->reduction != Reduction::None; })) {
      return "reduction";
    }
    return has([](const Op* op) { return op->kind == OpKind::Comp; }) ? "elementwise" : "view";
  }

  /// Groups and the other ops in an order that respects dependences; of those that could come next, what came first. So
  /// a scan's body still begins with its arguments and ends with `next` and `emit`.
  void emit() {
    std::vector<size_t> waitingFor(members_.size());
    std::vector<std::vector<size_t>> after(members_.size());
    for (size_t group = 0; group < members_.size(); ++group) {
      for (const Op* op : members_[group]) {
        for (const Value* v : op->operands) {
          auto home = home_.find(v->def);
          if (home != home_.end() && home->second != group) {
            after[home->second].push_back(group);
            ++waitingFor[group];
          }
        }
      }
    }
    std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
    for (size_t group = 0; group < members_.size(); ++group) {
      if (!members_[group].empty() && waitingFor[group] == 0) {
        ready.push(group);
      }
    }
    std::vector<Op*> order;
    size_t emitted = 0;
    while (!ready.empty()) {
      size_t group = ready.top();
      ready.pop();
      emitted += members_[group].size();
      order.push_back(isFusible(*members_[group][0]) ? makeGroup(group) : members_[group][0]);
      for (size_t next : after[group]) {
        if (--waitingFor[next] == 0) {
          ready.push(next);
        }
      }
    }
    DNN_ASSERT(emitted == ops_.size(), "groups have no cycles");
    block_.ops = std::move(order);
    graph::refreshRegions(function_);
  }

  Op* makeGroup(size_t group) {
    std::vector<Op*>& members = members_[group];
    std::ranges::sort(members, {}, [&](const Op* op) { return position_.at(op); });
    Op* op = function_.createOp(OpKind::Group, {}, {}, members.back()->loc);
    op->anchor = anchorOf(members, isContraction_[group]);
    if (isContraction_[group]) { // sums of what the others leave behind come last
      size_t rank = contractionOf(group)->dims.size();
      std::ranges::stable_partition(
          members, [&](const Op* member) { return member->dims.size() == rank || prologues_.contains(member); });
    }
    bool byRows = !isContraction_[group] && members.size() > 1 &&
                  schedule::rowForm(members, resultsOf(members), function_.symbols).has_value();
    op->body_block->ops = byRows ? shareParts(function_, members) : members;
    return op;
  }

  std::optional<graph::Uses> uses_; // of the function while its ops are not in groups yet; made when first asked

  const graph::Uses& uses() {
    if (!uses_) {
      uses_.emplace(function_);
    }
    return *uses_;
  }

  /// The values that others than the members read.
  std::vector<Value*> resultsOf(const std::vector<Op*>& members) {
    std::vector<Value*> results;
    for (const Op* op : members) {
      bool escapes = std::ranges::any_of(
          uses().of(op->results[0]), [&](const Op* user) { return std::ranges::find(members, user) == members.end(); });
      if (escapes || uses().returned(op->results[0])) {
        results.push_back(op->results[0]);
      }
    }
    return results;
  }
};

} // namespace

Result<Changed> fuse(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    if (function->kind == graph::FunctionKind::Helper) {
      continue;
    }
    graph::forEachBlock(function->body, [&](graph::Block& block) {
      if (std::ranges::any_of(block.ops, [](const Op* op) { return isFusible(*op); })) {
        Fuser(*function, block).run();
        changed = Changed::Yes;
      }
    });
  }
  return changed;
}

} // namespace dnn::transform
