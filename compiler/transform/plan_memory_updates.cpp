// placeUpdates: which updates are written in place or directly, and the order of ops that makes this right.
//
// For each update of a path P by an escape v of a group G, every other reader R of the old P must run before G. That is
// an extra edge R → G in the dependence graph; it may be added unless G already reaches R. Edges only grow, so a later
// decision never breaks an earlier one. A reader that runs at the end of the function (another update, an output) can
// never come first: then v is copied.
#include "compiler/schedule/row_form.h"
#include "compiler/support/assert.h"
#include "compiler/transform/dependence_order.h"
#include "compiler/transform/plan_memory.h"

#include <algorithm>
#include <queue>
#include <unordered_set>

namespace dnn::transform {

namespace {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::OpKind;
using graph::Value;

bool isPersistentRead(const Value* v) { return v->def->kind == OpKind::Param || v->def->kind == OpKind::State; }

/// The op accesses `v` only at its own point: comp [i, j] { … v[i, j] … } over exactly v's extents.
bool readsOnlyAtOwnPoint(const Op& op, const Value* v) {
  if (op.kind != OpKind::Comp || op.reduction != Reduction::None) {
    return false;
  }
  const std::vector<Dim>& extents = v->type.dims;
  if (op.dims.size() != extents.size()) {
    return false;
  }
  for (size_t d = 0; d < extents.size(); ++d) {
    if (!(op.dims[d].extent == extents[d])) {
      return false;
    }
  }
  bool own = true;
  graph::forEachNode(op.body, [&](ExprRef e) {
    if (e->kind != ExprKind::Access || op.operands[e->operand] != v) {
      return;
    }
    for (size_t d = 0; d < e->args.size(); ++d) {
      own &= e->args[d]->kind == ExprKind::Index && e->args[d]->index == d;
    }
  });
  return own;
}

/// The group's values computed from `operand`, or nothing if some op depends on it other than point by point.
std::optional<std::unordered_set<const Value*>> pointwiseDependents(const Op& group, const Value* operand) {
  std::unordered_set<const Value*> tainted = {operand};
  for (const Op* op : group.body_block->ops) {
    for (const Value* v : op->operands) {
      if (tainted.contains(v)) {
        if (!readsOnlyAtOwnPoint(*op, v)) {
          return std::nullopt;
        }
        tainted.insert(op->results.begin(), op->results.end());
      }
    }
  }
  tainted.erase(operand);
  return tainted;
}

class Placer {
public:
  explicit Placer(graph::Function& function)
      : function_(function), roots_(function), order_(function.body.ops.size()) {}

  UpdatePlacement run() {
    buildEdges();
    for (const Op* op : function_.body.ops) {
      if (op->kind == OpKind::Update) {
        place(*op);
      }
    }
    dropMixedGroups();
    reorder();
    return std::move(result_);
  }

private:
  graph::Function& function_;
  Roots roots_;
  UpdatePlacement result_;
  std::unordered_set<const Op*> byRows_; // groups with one escape that overwrites its operand row by row
  std::unordered_map<const Op*, size_t> position_;
  DependenceOrder order_;                                           // of ops, by their positions
  std::unordered_map<std::string, std::vector<const Op*>> readers_; // of a path's old value
  std::unordered_map<const Value*, const Op*> groupOf_;             // of each escape
  std::unordered_set<const Value*> outputs_;                        // roots of what leaves the function

  void buildEdges() {
    const std::vector<Op*>& ops = function_.body.ops;
    std::unordered_map<const Value*, size_t> definedAt;
    for (size_t i = 0; i < ops.size(); ++i) {
      const Op& op = *ops[i];
      position_[&op] = i;
      for (const Value* v : op.operands) {
        order_.add(definedAt.at(v), i);
        const Value* root = roots_.of(v);
        if (isPersistentRead(root) && op.kind != OpKind::Reshape) {
          readers_[root->def->symbol].push_back(&op);
        }
        if (op.kind == OpKind::Output) {
          outputs_.insert(root);
        }
      }
      for (const Value* v : op.kind == OpKind::Group ? op.escapes : op.results) {
        definedAt[v] = i;
        if (op.kind == OpKind::Group) {
          groupOf_[v] = &op;
        }
      }
    }
  }

  void place(const Op& update) {
    if (update.operands.size() > 1) {
      return; // some rows, when the function ends
    }
    const Value* value = roots_.of(update.operands[0]);
    auto home = groupOf_.find(value);
    if (home == groupOf_.end() || result_.direct.contains(value) || outputs_.contains(value)) {
      return;
    }
    const Op& group = *home->second;
    size_t groupAt = position_.at(&group);
    bool groupReads = false;
    std::vector<size_t> others;
    for (const Op* reader : readers_[update.symbol]) {
      if (reader == &group) {
        groupReads = true;
        continue;
      }
      bool computes = reader->kind == OpKind::Group || reader->kind == OpKind::Scan;
      if (!computes || order_.reaches(groupAt, position_.at(reader))) {
        return;
      }
      others.push_back(position_.at(reader));
    }
    if (groupReads && !markInPlace(group, value, update.symbol)) {
      return;
    }
    for (size_t reader : others) {
      order_.add(reader, groupAt);
    }
    result_.direct[value] = update.symbol;
  }

  bool markInPlace(const Op& group, const Value* value, const std::string& path) {
    std::optional<uint32_t> operand;
    for (uint32_t i = 0; i < group.operands.size(); ++i) {
      const Value* root = roots_.of(group.operands[i]);
      if (isPersistentRead(root) && root->def->symbol == path) {
        if (operand) {
          return false; // two views of the old value
        }
        operand = i;
      }
    }
    const Value* old = group.operands[*operand];
    if (!(old->type.dims == value->type.dims) || old->type.dtype != value->type.dtype) {
      return false;
    }
    if (value->def->kind != OpKind::Comp || value->def->reduction != Reduction::None) {
      return false;
    }
    bool byRows = !pointwiseDependents(group, old);
    if (byRows_.contains(&group) || (byRows && (result_.inPlace.contains(&group) || !runsByRows(group, old)))) {
      return false;
    }
    if (byRows) {
      byRows_.insert(&group);
    }
    auto& marks = result_.inPlace[&group];
    marks.resize(group.escapes.size());
    marks[static_cast<size_t>(std::ranges::find(group.escapes, value) - group.escapes.begin())] = operand;
    return true;
  }

  /// The kernel of the group is one that finishes each row before it begins the next, and needs each row of `old` once.
  bool runsByRows(const Op& group, const Value* old) const {
    auto form = schedule::rowForm(group.body_block->ops, group.escapes, function_.symbols);
    return form && schedule::readsByRows(*form, old);
  }

  /// An escape that depends on an overwritten operand, but is itself not in place, would have to be written in the same
  /// pass over the elements. Then nothing of the group is in place.
  void dropMixedGroups() {
    std::erase_if(result_.inPlace, [&](auto& entry) {
      const Op& group = *entry.first;
      if (byRows_.contains(&group)) {
        return false;
      }
      const auto& marks = entry.second;
      bool mixed = false;
      for (const std::optional<uint32_t>& mark : marks) {
        if (mark) {
          auto dependents = pointwiseDependents(group, group.operands[*mark]);
          for (size_t i = 0; i < group.escapes.size(); ++i) {
            mixed |= !marks[i] && dependents->contains(group.escapes[i]);
          }
        }
      }
      if (mixed) {
        for (size_t i = 0; i < marks.size(); ++i) {
          if (marks[i]) {
            result_.direct.erase(group.escapes[i]);
          }
        }
      }
      return mixed;
    });
  }

  /// Topological order; among the ops that could come next, the one that came first.
  void reorder() {
    std::vector<size_t> waitingFor(order_.size());
    for (size_t i = 0; i < order_.size(); ++i) {
      for (size_t to : order_.after(i)) {
        ++waitingFor[to];
      }
    }
    std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
    for (size_t i = 0; i < order_.size(); ++i) {
      if (waitingFor[i] == 0) {
        ready.push(i);
      }
    }
    std::vector<Op*> ordered;
    while (!ready.empty()) {
      size_t i = ready.top();
      ready.pop();
      ordered.push_back(function_.body.ops[i]);
      for (size_t to : order_.after(i)) {
        if (--waitingFor[to] == 0) {
          ready.push(to);
        }
      }
    }
    DNN_ASSERT(ordered.size() == order_.size(), "the order of updates has no cycle");
    function_.body.ops = std::move(ordered);
  }
};

} // namespace

UpdatePlacement placeUpdates(graph::Function& function) { return Placer(function).run(); }

UpdatePlacements placeUpdates(graph::Module& module) {
  UpdatePlacements placements;
  for (const auto& function : module.functions) {
    if (function->kind != graph::FunctionKind::Helper) {
      placements.emplace(function.get(), placeUpdates(*function));
    }
  }
  return placements;
}

} // namespace dnn::transform
