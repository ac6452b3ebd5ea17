#include "compiler/autodiff/spread_scan.h"

#include "compiler/algebra/reindex.h"
#include "compiler/autodiff/adjoint.h"
#include "compiler/graph/element_count.h"
#include "compiler/graph/scan.h"

#include <algorithm>
#include <unordered_map>

namespace dnn::autodiff {

using graph::ExprKind;
using graph::IndexVar;
using graph::Op;
using graph::OpKind;
using graph::Value;

namespace {

constexpr int64_t maxStackElements = int64_t(1) << 25; // of one value: more fills memory, and is work enough for a step
constexpr size_t maxRank = 16;

/// A value of the body for all steps: stacked, or where it is 0 but for index `diagonal` = step, all of those elements.
struct Spread {
  Value* value = nullptr;
  std::optional<size_t> diagonal;
};

/// The indices v of an op for which an expression is 0 unless v is the step's number; `all`: it is 0 everywhere.
struct Support {
  bool all = false;
  std::vector<uint32_t> indices;

  bool contains(uint32_t v) const { return all || std::ranges::find(indices, v) != indices.end(); }
};

Support both(Support a, const Support& b) {
  a.all = a.all || b.all;
  a.indices.insert(a.indices.end(), b.indices.begin(), b.indices.end());
  return a;
}

Support either(const Support& a, const Support& b) {
  if (a.all || b.all) {
    return a.all ? b : a;
  }
  Support common;
  std::ranges::copy_if(a.indices, std::back_inserter(common.indices), [&](uint32_t v) { return b.contains(v); });
  return common;
}

class ScanSpreader {
public:
  ScanSpreader(graph::Function& function, Op& scan, std::unordered_set<const Op*>& derived)
      : function_(function), scan_(scan), derived_(derived), emitter_(function), b_(emitter_.builder),
        counter_(graph::counterOf(scan)) {}

  std::optional<std::vector<Op*>> run() {
    if (scan_.carryCount > 0 || scan_.saveEvery > 0 || scan_.dims[0].extent == Dim(1)) {
      return std::nullopt;
    }
    for (size_t i = 0; i < scan_.sliceCount; ++i) {
      spread_[graph::sliceOf(scan_, i)] = {scan_.operands[i], std::nullopt};
    }
    for (Op* op : scan_.body_block->ops) {
      if (op->kind == OpKind::Counter || op->kind == OpKind::Slice || op->kind == OpKind::Next ||
          op->kind == OpKind::Emit) {
        continue;
      }
      if (!varies(*op)) {
        emitter_.made.push_back(op);
        continue;
      }
      size_t before = emitter_.made.size();
      if (!spreadOp(*op) || !fits(before)) {
        return std::nullopt;
      }
      for (size_t i = before; i < emitter_.made.size() && derived_.contains(op); ++i) {
        spreadOfDerived_.push_back(emitter_.made[i]);
      }
    }
    std::vector<Value*> results;
    size_t before = emitter_.made.size();
    for (Value* v : graph::emitsOf(scan_)) {
      results.push_back(stacked(v));
    }
    if (!fits(before)) {
      return std::nullopt;
    }
    for (size_t i = 0; i < results.size(); ++i) {
      graph::replaceAllUses(function_, scan_.results[i], results[i]);
    }
    derived_.insert(spreadOfDerived_.begin(), spreadOfDerived_.end());
    return std::move(emitter_.made);
  }

private:
  graph::ExprPool& pool() const { return b_.pool(); }

  bool varies(const Value* v) const { return v == counter_ || spread_.contains(v); }
  bool varies(const Op& op) const {
    bool any = std::ranges::any_of(op.operands, [&](const Value* v) { return varies(v); });
    if (op.body_block) {
      graph::forEachOp(*op.body_block, [&](const Op* inner) {
        any = any || std::ranges::any_of(inner->operands, [&](const Value* v) { return varies(v); });
      });
    }
    return any;
  }

  bool fits(size_t from) const {
    return std::all_of(emitter_.made.begin() + static_cast<std::ptrdiff_t>(from), emitter_.made.end(),
                       [&](const Op* op) {
                         const TensorType& type = op->results[0]->type;
                         auto count = graph::maxElementCount(type.dims, function_.symbols);
                         return type.rank() <= maxRank && count && *count <= maxStackElements;
                       });
  }

  bool spreadOp(const Op& op) {
    switch (op.kind) {
    case OpKind::Comp:
    case OpKind::Scatter: spreadTensorForm(op); return true;
    case OpKind::Reshape: spreadReshape(op); return true;
    case OpKind::Concat: spreadConcat(op); return true;
    case OpKind::CallVjp: // spread when it has become what it computes
    case OpKind::Scan:
    case OpKind::Grad:
    case OpKind::Group:
    case OpKind::Distinct:
    case OpKind::Input:
    case OpKind::Param:
    case OpKind::State:
    case OpKind::Env:
    case OpKind::Update:
    case OpKind::Output:
    case OpKind::Counter:
    case OpKind::Carry:
    case OpKind::Slice:
    case OpKind::Next:
    case OpKind::Emit: break;
    }
    return false;
  }

  // --- Where an expression is not 0 ---

  Support supportOf(const Op& op, ExprRef e) const {
    if (e->kind == ExprKind::Access) {
      return supportOfRead(op, e);
    }
    if (e->kind == ExprKind::Const) {
      return {algebra::isConstant(e, 0), {}};
    }
    if (e->kind == ExprKind::Cast) {
      return isFloat(e->dtype) ? supportOf(op, e->args[0]) : Support{};
    }
    if (e->kind != ExprKind::Apply) {
      return {};
    }
    switch (e->op) {
    case ScalarOp::Neg:
    case ScalarOp::StopGrad: return supportOf(op, e->args[0]);
    case ScalarOp::Div: return isFloat(e->dtype) ? supportOf(op, e->args[0]) : Support{};
    case ScalarOp::Mul: return both(supportOf(op, e->args[0]), supportOf(op, e->args[1]));
    case ScalarOp::Add:
    case ScalarOp::Sub: return either(supportOf(op, e->args[0]), supportOf(op, e->args[1]));
    case ScalarOp::Select: {
      Support then = both(supportOf(op, e->args[1]), supportOfCondition(op, e->args[0]));
      return either(then, supportOf(op, e->args[2]));
    }
    default: return {}; // other operators do not keep 0, or rarely are applied to adjoints
    }
  }

  Support supportOfRead(const Op& op, ExprRef e) const {
    auto found = spread_.find(op.operands[e->operand]);
    if (found == spread_.end() || !found->second.diagonal || e->fill.value_or(0) != 0) {
      return {};
    }
    ExprRef at = e->args[*found->second.diagonal];
    return at->kind == ExprKind::Index ? Support{false, {at->index}} : Support{};
  }

  Support supportOfCondition(const Op& op, ExprRef e) const {
    if (algebra::isApply(e, ScalarOp::And)) {
      return both(supportOfCondition(op, e->args[0]), supportOfCondition(op, e->args[1]));
    }
    if (!algebra::isApply(e, ScalarOp::Eq)) {
      return {};
    }
    auto isStep = [&](ExprRef side) {
      return side->kind == ExprKind::Access && op.operands[side->operand] == counter_;
    };
    for (size_t i = 0; i < 2; ++i) {
      if (isStep(e->args[i]) && e->args[1 - i]->kind == ExprKind::Index) {
        return {false, {e->args[1 - i]->index}};
      }
    }
    return {};
  }

  /// An index of op whose values are the steps, outside of which the body is 0; one of the result, if there is one.
  std::optional<uint32_t> stepOf(const Op& op) const {
    bool sums = op.kind == OpKind::Scatter || op.reduction == Reduction::None || op.reduction == Reduction::Add;
    Support support = sums ? supportOf(op, op.body) : Support{};
    std::optional<uint32_t> best;
    for (uint32_t v : support.indices) {
      const IndexVar& var = v < op.dims.size() ? op.dims[v] : op.reduced[v - op.dims.size()];
      if (var.extent == scan_.dims[0].extent) {
        best = std::min(v, best.value_or(v));
      }
    }
    return best;
  }

  // --- Ops for all steps ---

  /// e of op, in the step that `step` says, with its indices replaced.
  ExprRef inStep(ExprRef e, const Op& op, std::vector<Value*>& operands, ExprRef step,
                 const std::vector<ExprRef>& indices) {
    return algebra::rebuild(b_, e, [&](ExprRef node, const std::vector<ExprRef>& args) -> ExprRef {
      if (node->kind == ExprKind::Index) {
        return indices[node->index];
      }
      if (node->kind != ExprKind::Access) {
        return nullptr;
      }
      Value* v = op.operands[node->operand];
      if (v == counter_) {
        return step;
      }
      auto found = spread_.find(v);
      if (found == spread_.end()) {
        return pool().access(algebra::operandPosition(operands, v), node->dtype, args, node->fill);
      }
      std::optional<size_t> diagonal = found->second.diagonal;
      if (diagonal && node->fill.value_or(0) == 0) {
        Value* packed = found->second.value;
        ExprRef read = pool().access(algebra::operandPosition(operands, packed), node->dtype, args, node->fill);
        return args[*diagonal] == step ? read : b_.when(b_.eq(args[*diagonal], step), read);
      }
      std::vector<ExprRef> subscripts = args;
      subscripts.insert(subscripts.begin(), step);
      return pool().access(algebra::operandPosition(operands, stacked(v)), node->dtype, subscripts, node->fill);
    });
  }

  TensorType stackedType(const TensorType& type) const { return graph::stackedType(scan_.dims[0].extent, type); }

  void spreadTensorForm(const Op& op) {
    std::vector<IndexVar> vars = op.dims;
    vars.insert(vars.end(), op.reduced.begin(), op.reduced.end());
    std::vector<ExprRef> same = algebra::indexRange(pool(), 0, vars.size());
    std::optional<uint32_t> step = stepOf(op);
    const Value& result = *op.results[0];
    bool scatter = op.kind == OpKind::Scatter;
    std::optional<size_t> diagonal = scatter || !step || *step >= op.dims.size() ? std::nullopt : step;
    for (size_t d = 0; step && scatter && d < op.at.size() && !diagonal; ++d) {
      diagonal = op.at[d] == same[*step] ? std::optional(d) : std::nullopt;
    }
    if (diagonal) { // beside each other
      make(op, result.type, op.dims, op.reduced, same[*step], same, diagonal);
      return;
    }
    // Stacked: the step's index stands in front, in place of one that is equal to it.
    std::vector<ExprRef> indices;
    std::vector<IndexVar> dims = {scan_.dims[0]};
    std::vector<IndexVar> reduced;
    uint32_t next = 1;
    for (uint32_t v = 0; v < vars.size(); ++v) {
      bool isStep = step == v;
      indices.push_back(pool().index(isStep ? 0 : next++));
      if (!isStep) {
        (v < op.dims.size() ? dims : reduced).push_back(vars[v]);
      }
    }
    make(op, stackedType(result.type), dims, reduced, pool().index(0), indices, std::nullopt);
  }

  void make(const Op& op, const TensorType& type, const std::vector<IndexVar>& dims,
            const std::vector<IndexVar>& reduced, ExprRef step, const std::vector<ExprRef>& indices,
            std::optional<size_t> diagonal) {
    std::vector<Value*> operands;
    ExprRef body = inStep(op.body, op, operands, step, indices);
    Value* made = nullptr;
    if (op.kind == OpKind::Scatter) {
      std::vector<ExprRef> at;
      if (!diagonal) {
        at.push_back(step);
      }
      for (ExprRef place : op.at) {
        at.push_back(inStep(place, op, operands, step, indices));
      }
      made = emitter_.scatter(type, dims, at, body, operands, op.loc);
    } else {
      Reduction reduction = reduced.empty() && !op.reduced.empty() ? Reduction::None : op.reduction;
      made = emitter_.comp(dims, reduced, reduction, body, operands, type, op.loc);
    }
    made->name = op.results[0]->name;
    spread_[op.results[0]] = {made, diagonal};
  }

  void addView(const Op& op, std::vector<Value*> operands, const TensorType& type, uint32_t axis,
               std::optional<size_t> diagonal) {
    Op* made = function_.createOp(op.kind, std::move(operands), {type}, op.loc);
    made->axis = axis;
    made->results[0]->name = op.results[0]->name;
    emitter_.made.push_back(made);
    spread_[op.results[0]] = {made->results[0], diagonal};
  }

  void spreadReshape(const Op& op) {
    const TensorType& from = op.operands[0]->type;
    const TensorType& to = op.results[0]->type;
    const Spread source = spread_.at(op.operands[0]);
    if (source.diagonal && *source.diagonal < to.rank() &&
        std::equal(from.dims.begin(), from.dims.begin() + static_cast<std::ptrdiff_t>(*source.diagonal) + 1,
                   to.dims.begin())) {
      addView(op, {source.value}, to, op.axis, source.diagonal);
      return;
    }
    addView(op, {stacked(op.operands[0])}, stackedType(to), op.axis, std::nullopt);
  }

  void spreadConcat(const Op& op) {
    std::optional<size_t> diagonal;
    bool beside = std::ranges::all_of(op.operands, [&](const Value* v) {
      auto found = spread_.find(v);
      std::optional<size_t> own = found == spread_.end() ? std::nullopt : found->second.diagonal;
      bool fits = own && *own != op.axis && own == diagonal.value_or(*own);
      diagonal = own;
      return fits;
    });
    std::vector<Value*> operands;
    for (Value* v : op.operands) {
      operands.push_back(beside ? spread_.at(v).value : stacked(v));
    }
    addView(op, std::move(operands), beside ? op.results[0]->type : stackedType(op.results[0]->type),
            beside ? op.axis : op.axis + 1, beside ? diagonal : std::nullopt);
  }

  /// The values of all steps, stacked.
  Value* stacked(Value* v) {
    if (auto known = stacks_.find(v); known != stacks_.end()) {
      return known->second;
    }
    auto found = spread_.find(v);
    if (found != spread_.end() && !found->second.diagonal) {
      return found->second.value;
    }
    std::vector<IndexVar> dims = elementIndices(v->type);
    dims.insert(dims.begin(), scan_.dims[0]);
    ExprRef step = pool().index(0);
    std::vector<ExprRef> element = algebra::indexRange(pool(), 1, v->type.rank());
    Value* made = nullptr;
    if (v == counter_) {
      made = emitter_.comp(dims, {}, Reduction::None, step, {}, stackedType(v->type), scan_.loc);
    } else if (found == spread_.end()) {
      ExprRef read = pool().access(0, v->type.dtype, element);
      made = emitter_.comp(dims, {}, Reduction::None, read, {v}, stackedType(v->type), v->def->loc);
    } else {
      ExprRef read = pool().access(0, v->type.dtype, element);
      ExprRef body = b_.when(b_.eq(element[*found->second.diagonal], step), read);
      made = emitter_.comp(dims, {}, Reduction::None, body, {found->second.value}, stackedType(v->type), v->def->loc);
    }
    made->name = v->name;
    stacks_[v] = made;
    return made;
  }

  graph::Function& function_;
  Op& scan_;
  std::unordered_set<const Op*>& derived_;
  Emitter emitter_;
  const Builder& b_;
  const Value* counter_;
  std::unordered_map<const Value*, Spread> spread_; // the values of the body that depend on the step
  std::unordered_map<const Value*, Value*> stacks_;
  std::vector<const Op*> spreadOfDerived_;
};

} // namespace

std::optional<std::vector<Op*>> spreadScan(graph::Function& function, Op& scan,
                                           std::unordered_set<const Op*>& derived) {
  return ScanSpreader(function, scan, derived).run();
}

} // namespace dnn::autodiff
