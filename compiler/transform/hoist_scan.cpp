// Moves work out of the bodies of scans: before the loop what no carry reaches, after it what no carry needs.
//
//   scan [t:T] carry(%h = …) slice(%xt = %x) {                      %p = comp [t:T, j] add [i] { mul(%x[t, i], %wx[i,
//   j]) }
//     %p = comp [j] add [i] { mul(%xt[i], %wx[i, j]) }       →      scan [t:T] carry(%h = …) slice(%pt = %p) { … }
//
//  - An op that depends on nothing of the loop is computed once.
//  - A sum that depends on slices and the counter besides becomes one sum over all steps: a large product instead of T
//    small ones. So does what it reads, if that depends on them alone.
//  - A comp whose value is emitted and used for nothing else is computed after the loop, if what it reads is at hand
//    there (sliced or emitted anyway) or is not larger than its value: the adjoint of a sliced value, an output layer.
//
// The work stays the same. Elementwise comps that depend on slices stay: they cost less than another tensor.
#include "compiler/autodiff/over_steps.h"
#include "compiler/graph/element_count.h"
#include "compiler/graph/scan.h"
#include "compiler/transform/pass_manager.h"

#include <algorithm>
#include <unordered_set>

namespace dnn::transform {

namespace {

using autodiff::StepValues;
using graph::ExprRef;
using graph::Op;
using graph::OpKind;
using graph::Value;

constexpr int64_t maxElements = (int64_t(1) << 31) - 1;
constexpr size_t maxRank = 16;

class ScanHoister {
public:
  ScanHoister(graph::Function& function, Op& scan, std::vector<Op*>& before)
      : function_(function), scan_(scan), before_(before) {}

  bool run() {
    bool changed = moveInvariants();
    if (!scan_.ends) { // steps that are not run compute nothing, and emit 0
      changed |= moveSums();
      changed |= sinkEmits();
    }
    return changed;
  }

  /// What stands behind the scan.
  std::vector<Op*> after;

private:
  std::vector<Op*>& body() { return scan_.body_block->ops; }
  static bool isArgument(const Op& op) {
    return op.kind == OpKind::Counter || op.kind == OpKind::Carry || op.kind == OpKind::Slice;
  }

  /// In the order of the body; nested scans count with all they use.
  bool moveInvariants() {
    std::unordered_set<const Value*> ofLoop;
    std::vector<Op*> kept;
    for (Op* op : body()) {
      bool pure = op->kind == OpKind::Comp || op->kind == OpKind::Scatter || op->kind == OpKind::Reshape ||
                  op->kind == OpKind::Concat;
      bool depends = std::ranges::any_of(op->operands, [&](const Value* v) { return ofLoop.contains(v); });
      if (pure && !depends) {
        before_.push_back(op);
        continue;
      }
      ofLoop.insert(op->results.begin(), op->results.end());
      kept.push_back(op);
    }
    bool changed = kept.size() != body().size();
    body() = std::move(kept);
    return changed;
  }

  TensorType stacked(const Value* v) const { return graph::stackedType(scan_.dims[0].extent, v->type); }

  bool mayBeStacked(const Value* v) const {
    TensorType type = stacked(v);
    auto count = graph::maxElementCount(type.dims, function_.symbols);
    return type.rank() <= maxRank && count && *count <= maxElements;
  }

  /// The comp for all steps at once.
  Op* overAllSteps(const Op& op, const StepValues& values) {
    std::vector<Value*> operands;
    ExprRef body = autodiff::overSteps(function_.module.exprs, op.body, op, operands, 0, values);
    Op* made = function_.createOp(OpKind::Comp, operands, {stacked(op.results[0])}, op.loc);
    made->dims = op.dims;
    made->dims.insert(made->dims.begin(), stepIndex(op));
    made->reduced = op.reduced;
    made->reduction = op.reduction;
    made->body = body;
    made->results[0]->name = op.results[0]->name;
    graph::normalizeOperands(function_.module.exprs, *made);
    return made;
  }

  /// The scan's index, under a name that the op's indices do not have.
  graph::IndexVar stepIndex(const Op& op) const {
    graph::IndexVar step = scan_.dims[0];
    auto taken = [&](const graph::IndexVar& var) { return var.name == step.name; };
    while (std::ranges::any_of(op.dims, taken) || std::ranges::any_of(op.reduced, taken)) {
      step.name += "_";
    }
    return step;
  }

  size_t sliceNumber(const Value* slice) const {
    size_t i = 0;
    while (graph::sliceOf(scan_, i) != slice) {
      ++i;
    }
    return i;
  }

  Value* slicedBy(const Value* slice) const { return scan_.operands[scan_.carryCount + sliceNumber(slice)]; }

  bool moveSums() {
    std::unordered_set<const Value*> free; // depend on slices and the counter alone
    for (const Op* op : body()) {
      bool movable = op->kind == OpKind::Comp && mayBeStacked(op->results[0]);
      bool ofSteps = std::ranges::all_of(op->operands, [&](const Value* v) { return free.contains(v) || !inBody(v); });
      if (op->kind == OpKind::Counter || op->kind == OpKind::Slice || (movable && ofSteps)) {
        free.insert(op->results.begin(), op->results.end());
      }
    }
    std::unordered_set<const Op*> moved;
    for (auto it = body().rbegin(); it != body().rend(); ++it) {
      const Op* op = *it;
      bool sum = op->kind == OpKind::Comp && op->reduction != Reduction::None && free.contains(op->results[0]);
      if (sum || moved.contains(op)) {
        moved.insert(op);
        for (const Value* v : op->operands) {
          if (inBody(v) && !isArgument(*v->def)) {
            moved.insert(v->def);
          }
        }
      }
    }
    if (moved.empty()) {
      return false;
    }
    std::unordered_map<const Value*, Value*> stacks;
    StepValues values{[&](const Value* v) { return v == graph::counterOf(scan_); },
                      [&](Value* v) -> Value* {
                        if (!inBody(v)) {
                          return nullptr;
                        }
                        return v->def->kind == OpKind::Slice ? slicedBy(v) : stacks.at(v);
                      }};
    const std::vector<Op*> ops = body();
    for (Op* op : ops) {
      if (moved.contains(op)) {
        before_.push_back(overAllSteps(*op, values));
        stacks[op->results[0]] = before_.back()->results[0];
      }
    }
    for (Op* op : ops) {
      if (moved.contains(op)) {
        Value* slice = graph::addSlice(function_, scan_, stacks.at(op->results[0]));
        replaceInBody(op->results[0], slice);
      }
    }
    std::erase_if(body(), [&](const Op* op) { return moved.contains(op); });
    return true;
  }

  void replaceInBody(Value* from, Value* to) {
    graph::forEachOp(*scan_.body_block, [&](Op* op) { std::ranges::replace(op->operands, from, to); });
  }

  bool inBody(const Value* v) const {
    return std::ranges::find(scan_.body_block->ops, v->def) != scan_.body_block->ops.end();
  }

  int usesInBody(const Value* v) const {
    std::ptrdiff_t count = 0;
    graph::forEachOp(*scan_.body_block, [&](const Op* op) { count += std::ranges::count(op->operands, v); });
    return static_cast<int>(count);
  }

  bool atHand(const Value* v) const {
    const std::vector<Value*>& emits = graph::emitsOf(scan_);
    return !inBody(v) || v->def->kind == OpKind::Slice || v->def->kind == OpKind::Counter ||
           std::ranges::find(emits, v) != emits.end();
  }

  bool isWorthSinking(const Op& op) const {
    if (op.kind != OpKind::Comp || !inBody(op.results[0]) || !mayBeStacked(op.results[0])) {
      return false;
    }
    int64_t more = 0; // elements that would be stacked instead of the value
    for (const Value* v : op.operands) {
      if (!atHand(v)) {
        auto count = graph::maxElementCount(v->type.dims, function_.symbols);
        if (!count || !mayBeStacked(v)) {
          return false;
        }
        more += *count;
      }
    }
    auto own = graph::maxElementCount(op.results[0]->type.dims, function_.symbols);
    // An elementwise comp costs little in the loop, beside what makes its operands.
    return op.reduction != Reduction::None && (more == 0 || (own && more <= *own));
  }

  bool sinkEmits() {
    bool changed = false;
    for (size_t i = graph::emitsOf(scan_).size(); i-- > 0;) {
      Value* v = graph::emitsOf(scan_)[i];
      Op* op = v->def;
      if (usesInBody(v) != 1 || !isWorthSinking(*op)) {
        continue;
      }
      StepValues values{[&](const Value* u) { return u == graph::counterOf(scan_); },
                        [&](Value* u) -> Value* {
                          if (!inBody(u)) {
                            return nullptr;
                          }
                          return u->def->kind == OpKind::Slice ? slicedBy(u) : emitted(u);
                        }};
      Op* made = overAllSteps(*op, values);
      Value* stack = scan_.results[i];
      graph::replaceAllUses(function_, stack, made->results[0]);
      for (Op* sunk : after) { // not in the function yet
        std::ranges::replace(sunk->operands, stack, made->results[0]);
      }
      after.insert(after.begin(), made);
      std::erase(body(), op);
      graph::removeEmit(scan_, i);
      changed = true;
    }
    return changed;
  }

  Value* emitted(Value* v) {
    const std::vector<Value*>& emits = graph::emitsOf(scan_);
    auto found = std::ranges::find(emits, v);
    return found != emits.end() ? scan_.results[static_cast<size_t>(found - emits.begin())]
                                : graph::addEmit(function_, scan_, v);
  }

  graph::Function& function_;
  Op& scan_;
  std::vector<Op*>& before_;
};

bool hoistIn(graph::Function& function, graph::Block& block) {
  bool changed = false;
  std::vector<Op*> ops;
  const std::vector<Op*> old = block.ops;
  for (Op* op : old) {
    std::vector<Op*> after;
    if (op->kind == OpKind::Scan) {
      changed |= hoistIn(function, *op->body_block);
      if (op->saveEvery == 0) { // else it is to keep little, not to compute little
        ScanHoister hoister(function, *op, ops);
        changed |= hoister.run();
        after = std::move(hoister.after);
      }
    }
    ops.push_back(op);
    ops.insert(ops.end(), after.begin(), after.end());
  }
  block.ops = std::move(ops);
  return changed;
}

} // namespace

Result<Changed> hoistScan(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    changed = changed | (hoistIn(*function, function->body) ? Changed::Yes : Changed::No);
    graph::refreshRegions(*function);
  }
  return changed;
}

} // namespace dnn::transform
