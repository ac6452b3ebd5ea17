#include "compiler/sema/rowwise.h"

#include <algorithm>
#include <optional>
#include <set>

namespace dnn::sema {

namespace {

constexpr SymbolId kBatch = 0;

class Rowwise {
public:
  Rowwise(const Function& function, const std::vector<Function>& helpers) : function_(function), helpers_(helpers) {}

  bool check() { return check(function_.body) && !anyTotal(function_.returns); }

private:
  bool check(const std::vector<Statement>& body) {
    for (const Statement& stmt : body) {
      if (auto* let = std::get_if<Let>(&stmt.node)) {
        if (ends_.contains(let->var)) {
          continue;
        }
        row_.reset();
        seen_.clear();
        if (let->indices.empty() && addsRows(let->value)) {
          totals_.insert(let->var);
          continue;
        }
        for (size_t i = 0; i < let->indices.size(); ++i) {
          if (function_.indices[let->indices[i]].extent.dependsOn(kBatch)) {
            if (row_) {
              return false;
            }
            row_ = let->indices[i];
          }
        }
        if (!expression(let->value)) {
          return false;
        }
      } else if (auto* reshape = std::get_if<Reshape>(&stmt.node)) {
        if (totals_.contains(reshape->from)) {
          return false;
        }
        auto& from = function_.vars[reshape->from].type.dims;
        auto& to = function_.vars[reshape->var].type.dims;
        bool batched = std::any_of(from.begin(), from.end(), [](const Dim& d) { return d.dependsOn(kBatch); });
        if (batched && (!from[0].dependsOn(kBatch) || to.empty() || from[0] != to[0])) {
          return false;
        }
      } else if (auto* concat = std::get_if<Concat>(&stmt.node)) {
        if (function_.vars[concat->var].type.dims[concat->axis].dependsOn(kBatch) || anyTotal(concat->parts)) {
          return false;
        }
      } else if (auto* scan = std::get_if<Scan>(&stmt.node)) {
        if (scan->untilRows) {
          ends_.insert(*scan->until);
        }
        if (scan->extent.dependsOn(kBatch) || !check(scan->body) ||
            std::ranges::any_of(scan->carries, [&](auto& c) { return isTotal(c.initial) || isTotal(c.next); }) ||
            std::ranges::any_of(scan->emits, [&](auto& e) { return isTotal(e.value); })) {
          return false;
        }
      } else if (auto* output = std::get_if<Output>(&stmt.node)) {
        auto& dims = function_.vars[output->value].type.dims;
        if (isTotal(output->value) || std::any_of(dims.begin(), dims.end(), [&](const Dim& d) {
              return d.dependsOn(kBatch) && &d != &dims[0];
            })) {
          return false;
        }
      } else if (auto* call = std::get_if<CallVjp>(&stmt.node)) {
        if (anyTotal(call->args) || !Rowwise(helpers_[call->primal], helpers_).check()) {
          return false;
        }
        rules_.push_back(call->rule);
      } else if (auto* grad = std::get_if<Grad>(&stmt.node)) {
        // A loss that adds up what each row gives has in each row the gradient of what that row gives; one that joins
        // none at all is the same for all rows.
        if (isTotal(grad->loss) && !std::ranges::all_of(grad->wrt, [&](VarId v) { return isByRow(v); })) {
          return false;
        }
        if (!std::ranges::all_of(rules_, [&](uint32_t rule) { return Rowwise(helpers_[rule], helpers_).check(); })) {
          return false;
        }
      }
    }
    return true;
  }

  const Function& function_;
  const std::vector<Function>& helpers_;
  std::optional<IndexId> row_;
  std::set<VarId> ends_; // what ends a scan when all of its rows have ended
  std::set<const Scalar*> seen_;
  std::set<VarId> totals_;      // scalars that are sums over all rows; only gradients may read them
  std::vector<uint32_t> rules_; // helpers that gradients of what was computed so far may call

  bool isTotal(VarId var) const { return totals_.contains(var); }
  bool anyTotal(const std::vector<VarId>& vars) const {
    return std::ranges::any_of(vars, [&](VarId v) { return isTotal(v); });
  }

  bool isByRow(VarId var) const {
    auto& dims = function_.vars[var].type.dims;
    return !dims.empty() && dims[0].dependsOn(kBatch) &&
           std::none_of(dims.begin() + 1, dims.end(), [](const Dim& d) { return d.dependsOn(kBatch); });
  }

  /// A sum over all rows of what each gives; a sum or difference of such ones, a multiple.
  bool addsRows(const ScalarPtr& s) {
    if (auto* access = std::get_if<Access>(&s->node)) {
      return isTotal(access->var);
    }
    if (auto* apply = std::get_if<Apply>(&s->node)) {
      switch (apply->op) {
      case ScalarOp::Neg: return addsRows(apply->args[0]);
      case ScalarOp::Add:
      case ScalarOp::Sub: return addsRows(apply->args[0]) && addsRows(apply->args[1]);
      case ScalarOp::Mul:
        return (addsRows(apply->args[0]) && isSame(apply->args[1])) ||
               (isSame(apply->args[0]) && addsRows(apply->args[1]));
      case ScalarOp::Div: return addsRows(apply->args[0]) && isSame(apply->args[1]);
      default: return false;
      }
    }
    auto* reduce = std::get_if<Reduce>(&s->node);
    if (!reduce || reduce->kind != Reduce::Kind::Sum) {
      return false;
    }
    std::optional<IndexId> row;
    for (IndexId index : reduce->indices) {
      if (function_.indices[index].extent.dependsOn(kBatch)) {
        if (row) {
          return false;
        }
        row = index;
      }
    }
    if (!row) {
      return false;
    }
    row_ = row;
    seen_.clear();
    bool ok = (!reduce->guard || expression(reduce->guard)) && expression(reduce->body);
    row_.reset();
    seen_.clear();
    return ok;
  }

  /// One value for all rows, whatever they are.
  bool isSame(const ScalarPtr& s) {
    row_.reset();
    seen_.clear();
    return expression(s);
  }

  bool expression(const ScalarPtr& s) {
    if (auto* extent = std::get_if<ExtentRef>(&s->node)) {
      return !extent->extent.dependsOn(kBatch);
    }
    if (auto* index = std::get_if<IndexRef>(&s->node)) {
      return index->index != row_;
    }
    if (auto* access = std::get_if<Access>(&s->node)) {
      if (isTotal(access->var)) {
        return false;
      }
      auto& dims = function_.vars[access->var].type.dims;
      for (size_t i = 0; i < dims.size(); ++i) {
        auto* index = std::get_if<IndexRef>(&access->subscripts[i]->node);
        bool isRow = index && row_ && index->index == *row_;
        if (dims[i].dependsOn(kBatch) ? !isRow : !expression(access->subscripts[i])) {
          return false;
        }
      }
      return true;
    }
    if (auto* reduce = std::get_if<Reduce>(&s->node)) {
      for (IndexId index : reduce->indices) {
        if (function_.indices[index].extent.dependsOn(kBatch)) {
          return false;
        }
      }
    }
    if (!seen_.insert(s.get()).second) {
      return true; // looked at before, within this let
    }
    bool ok = true;
    forEachChild(*s, [&](const ScalarPtr& child) { ok = ok && expression(child); });
    return ok;
  }
};

} // namespace

bool isRowwise(const Function& function, const std::vector<Function>& helpers) {
  return Rowwise(function, helpers).check();
}

} // namespace dnn::sema
