// sparse-updates: a table of which a step reads few rows has a gradient in these rows alone. Where an update leaves a
// row without a gradient as it is, only the others are computed and written, and no gradient of the size of the table
// is ever made:
//
//   %g = scatter add f32[V, 64] [n:N, k:64] at (%t[n], k) { … }
//   %w1 = comp [v:V, k:64] : f32 { sub(%w[v, k], mul(0.1, %g[v, k])) }
//   update @w = %w1
//   →
//   %key = comp [n:N] : i32 < V { %t[n] }
//   %place, %row, %count = distinct %key : i32[N] < N, i32[N] < V, i32
//   %g = scatter add f32[N, 64] [n:N, k:64] at (%place[n], k) { … }
//   %w1 = comp [s:N, k:64] : f32 { sub(%w[%row[s], k], mul(0.1, %g[s, k])) }
//   update @w = %w1 at %row, %count
//
// That an update leaves such rows alone is proved: with 0 for the gradient its new value simplifies to the old one
// (sgd, adagrad; not momentum or adam, whose states change without a gradient too). Each sum has the same terms in the
// same order as before; kernels of another shape may round the update in another way.
#include "compiler/algebra/reindex.h"
#include "compiler/algebra/simplify.h"
#include "compiler/graph/element_count.h"
#include "compiler/transform/pass_manager.h"
#include "compiler/transform/read_through.h"

#include <algorithm>
#include <unordered_set>

namespace dnn::transform {

namespace {

using algebra::Builder;
using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::OpKind;
using graph::Value;

/// A table must have so many times the rows that a step can touch.
constexpr int64_t worthwhile = 2;

bool readsAtOwnPoint(const Op& op, const Value* v) {
  if (!isElementwise(op) || op.dims.size() != v->type.dims.size()) {
    return false;
  }
  for (size_t d = 0; d < op.dims.size(); ++d) {
    if (!(op.dims[d].extent == v->type.dims[d])) {
      return false;
    }
  }
  return std::ranges::all_of(accessesOf(op, *v), [](ExprRef access) {
    for (size_t d = 0; d < access->args.size(); ++d) {
      if (access->args[d]->kind != ExprKind::Index || access->args[d]->index != d) {
        return false;
      }
    }
    return !access->fill.has_value();
  });
}

class Sparsifier {
public:
  explicit Sparsifier(graph::Function& function)
      : function_(function), uses_(function), builder_(function.module.exprs) {}

  Changed run() {
    bool changed = false;
    const std::vector<Op*> ops = function_.body.ops;
    for (Op* op : ops) {
      if (op->kind == OpKind::Scatter && tryScatter(*op)) {
        changed = true;
      }
    }
    return changed ? Changed::Yes : Changed::No;
  }

private:
  /// The indices of the scatter that say which row, in order; none if it is not rows that it adds to.
  std::optional<std::vector<uint32_t>> rowIndices(const Op& scatter) const {
    std::unordered_set<uint32_t> within; // the row
    const TensorType& type = scatter.results[0]->type;
    if (type.rank() == 0 || !std::ranges::all_of(type.dims, [](const Dim& d) { return d.isStatic(); })) {
      return std::nullopt;
    }
    for (size_t d = 1; d < scatter.at.size(); ++d) {
      ExprRef at = scatter.at[d];
      bool whole = at->kind == ExprKind::Index && scatter.dims[at->index].extent == type.dims[d];
      if (!whole || !within.insert(at->index).second) {
        return std::nullopt;
      }
    }
    bool mixed = false;
    graph::forEachNode(scatter.at[0],
                       [&](ExprRef e) { mixed |= e->kind == ExprKind::Index && within.contains(e->index); });
    std::vector<uint32_t> rows;
    for (uint32_t i = 0; i < scatter.dims.size(); ++i) {
      if (!within.contains(i)) {
        rows.push_back(i);
      }
    }
    return mixed || rows.empty() ? std::nullopt : std::optional(std::move(rows));
  }

  /// What is computed from the gradient: comps over the table in order, which end in updates alone.
  bool collect(const Value* gradient) {
    cluster_ = {gradient};
    comps_.clear();
    updates_.clear();
    for (Op* op : function_.body.ops) {
      bool reads = std::ranges::any_of(op->operands, [&](const Value* v) { return cluster_.contains(v); });
      if (!reads) {
        continue;
      }
      if (op->kind == OpKind::Update && op->operands.size() == 1) {
        updates_.push_back(op);
        continue;
      }
      bool fits = op->kind == OpKind::Comp && std::ranges::all_of(op->operands, [&](const Value* v) {
                    return !cluster_.contains(v) || readsAtOwnPoint(*op, v);
                  });
      if (!fits) {
        return false;
      }
      cluster_.insert(op->results[0]);
      comps_.push_back(op);
    }
    // A region reads what it captures, an update of the gradient itself is no optimizer's.
    return !updates_.empty() &&
           std::ranges::none_of(updates_, [&](const Op* update) { return update->operands[0] == gradient; }) &&
           std::ranges::none_of(cluster_, [&](const Value* v) {
             return uses_.returned(v) || std::ranges::any_of(uses_.of(v), [&](const Op* user) {
                      return std::ranges::find(comps_, user) == comps_.end() &&
                             std::ranges::find(updates_, user) == updates_.end();
                    });
           });
  }

  /// The updated tensor keeps the elements whose gradient is 0.
  bool staysWithoutGradient(const Op& update, const Value* gradient) const {
    const Op& last = *update.operands[0]->def;
    ExprRef body = last.body;
    std::vector<Value*> operands = last.operands;
    for (auto op = comps_.rbegin(); op != comps_.rend(); ++op) {
      const Value* value = (*op)->results[0];
      auto at = std::ranges::find(operands, value);
      if (at == operands.end()) {
        continue;
      }
      auto number = static_cast<uint32_t>(at - operands.begin());
      ExprRef inner = algebra::moveOperands(builder_, (*op)->body, (*op)->operands, operands); // of the same point
      body = replaceAccesses(body, number, inner);
    }
    auto at = std::ranges::find(operands, gradient);
    if (at != operands.end()) {
      body = replaceAccesses(body, static_cast<uint32_t>(at - operands.begin()), builder_.zero(gradient->type.dtype));
    }
    graph::IndexDomain domain = graph::domainOf(last, function_.symbols);
    domain.operands.clear();
    for (const Value* operand : operands) {
      domain.operands.push_back(operand->type);
    }
    body = algebra::Simplifier(builder_, domain, true).run(body);
    if (body->kind != ExprKind::Access || body->fill) {
      return false;
    }
    const Op& old = *operands[body->operand]->def;
    for (size_t d = 0; d < body->args.size(); ++d) {
      if (body->args[d]->kind != ExprKind::Index || body->args[d]->index != d) {
        return false;
      }
    }
    return (old.kind == OpKind::Param || old.kind == OpKind::State) && old.symbol == update.symbol;
  }

  ExprRef replaceAccesses(ExprRef e, uint32_t operand, ExprRef by) const {
    return algebra::rebuild(builder_, e, [&](ExprRef node, const std::vector<ExprRef>&) -> ExprRef {
      return node->kind == ExprKind::Access && node->operand == operand ? by : nullptr;
    });
  }

  bool tryScatter(Op& scatter) {
    Value* gradient = scatter.results[0];
    std::optional<std::vector<uint32_t>> rows = rowIndices(scatter);
    if (!rows || !collect(gradient)) {
      return false;
    }
    std::vector<graph::IndexVar> keyDims;
    std::vector<Dim> extents;
    for (uint32_t i : *rows) {
      keyDims.push_back(scatter.dims[i]);
      extents.push_back(scatter.dims[i].extent);
    }
    const Dim tableRows = gradient->type.dims[0];
    std::optional<Dim> most = graph::linearElementCount(extents);
    bool few =
        most && most->max(function_.symbols) <= tableRows.constant() / worthwhile && most->min(function_.symbols) >= 1;
    if (!few || !std::ranges::all_of(updates_, [&](const Op* u) { return staysWithoutGradient(*u, gradient); })) {
      return false;
    }
    Op* key = keys(scatter, *rows, keyDims, extents);
    Op* distinct = function_.createOp(OpKind::Distinct, {key->results[0]},
                                      {TensorType{DType::I32, extents, *most},
                                       TensorType{DType::I32, {*most}, tableRows}, TensorType{DType::I32, {}, {}}},
                                      scatter.loc);
    const char* names[] = {"place", "row", "count"};
    for (size_t i = 0; i < distinct->results.size(); ++i) {
      distinct->results[i]->name = names[i];
    }
    makeSparse(scatter, *rows, distinct, *most);
    insertBefore(scatter, key);
    insertBefore(scatter, distinct);
    for (Op* comp : comps_) {
      ofRows(*comp, distinct->results[1], *most);
    }
    for (Op* update : updates_) {
      update->operands.push_back(distinct->results[1]);
      update->operands.push_back(distinct->results[2]);
    }
    return true;
  }

  void insertBefore(const Op& place, Op* op) {
    std::vector<Op*>& ops = function_.body.ops;
    ops.insert(std::ranges::find(ops, &place), op);
  }

  Op* keys(const Op& scatter, const std::vector<uint32_t>& rows, std::vector<graph::IndexVar> dims,
           const std::vector<Dim>& extents) {
    std::vector<ExprRef> indices(scatter.dims.size(), nullptr);
    for (uint32_t i = 0; i < rows.size(); ++i) {
      indices[rows[i]] = builder_.pool().index(i);
    }
    Op* key = function_.createOp(OpKind::Comp, scatter.operands,
                                 {TensorType{DType::I32, extents, scatter.results[0]->type.dims[0]}}, scatter.loc);
    key->dims = std::move(dims);
    key->body = algebra::substituteIndices(builder_, scatter.at[0], indices);
    key->results[0]->name = "key";
    graph::normalizeOperands(builder_.pool(), *key);
    return key;
  }

  /// The scatter adds to the places of its keys instead of to the rows of the table.
  void makeSparse(Op& scatter, const std::vector<uint32_t>& rows, const Op* distinct, const Dim& most) {
    std::vector<ExprRef> at;
    for (uint32_t i : rows) {
      at.push_back(builder_.pool().index(i));
    }
    uint32_t places = algebra::operandPosition(scatter.operands, distinct->results[0]);
    scatter.at[0] = builder_.pool().access(places, DType::I32, at);
    scatter.results[0]->type.dims[0] = most;
    graph::normalizeOperands(builder_.pool(), scatter);
  }

  /// The comp for the rows that have a gradient instead of for all.
  void ofRows(Op& comp, Value* row, const Dim& most) {
    std::unordered_set<uint32_t> ofCluster; // operands that are by place
    for (uint32_t i = 0; i < comp.operands.size(); ++i) {
      if (cluster_.contains(comp.operands[i])) {
        ofCluster.insert(i);
      }
    }
    uint32_t rowAt = algebra::operandPosition(comp.operands, row);
    graph::ExprPool& pool = builder_.pool();
    ExprRef place = pool.index(0);
    ExprRef rowOfPlace = pool.access(rowAt, DType::I32, {place});
    comp.body = graph::rewrite(pool, comp.body, [&](ExprRef node, const std::vector<ExprRef>& args) -> ExprRef {
      if (node->kind == ExprKind::Index && node->index == 0) {
        return rowOfPlace;
      }
      if (node->kind == ExprKind::Access && ofCluster.contains(node->operand)) {
        std::vector<ExprRef> at = args;
        at[0] = place;
        return pool.access(node->operand, node->dtype, at);
      }
      return nullptr;
    });
    comp.dims[0].extent = most;
    comp.results[0]->type.dims[0] = most;
    graph::normalizeOperands(pool, comp);
  }

  graph::Function& function_;
  graph::Uses uses_;
  Builder builder_;
  // Of the scatter that is looked at.
  std::unordered_set<const Value*> cluster_; // the gradient and what is computed from it
  std::vector<Op*> comps_;
  std::vector<Op*> updates_;
};

} // namespace

Result<Changed> sparseUpdates(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    changed = changed | Sparsifier(*function).run();
  }
  return changed;
}

} // namespace dnn::transform
