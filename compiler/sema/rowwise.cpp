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

  bool check() { return check(function_.body); }

private:
  bool check(const std::vector<Statement>& body) {
    for (const Statement& stmt : body) {
      if (auto* let = std::get_if<Let>(&stmt.node)) {
        if (ends_.contains(let->var)) {
          continue;
        }
        row_.reset();
        seen_.clear();
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
        auto& from = function_.vars[reshape->from].type.dims;
        auto& to = function_.vars[reshape->var].type.dims;
        bool batched = std::any_of(from.begin(), from.end(), [](const Dim& d) { return d.dependsOn(kBatch); });
        if (batched && (!from[0].dependsOn(kBatch) || to.empty() || from[0] != to[0])) {
          return false;
        }
      } else if (auto* concat = std::get_if<Concat>(&stmt.node)) {
        if (function_.vars[concat->var].type.dims[concat->axis].dependsOn(kBatch)) {
          return false;
        }
      } else if (auto* scan = std::get_if<Scan>(&stmt.node)) {
        if (scan->untilRows) {
          ends_.insert(*scan->until);
        }
        if (scan->extent.dependsOn(kBatch) || !check(scan->body)) {
          return false;
        }
      } else if (auto* output = std::get_if<Output>(&stmt.node)) {
        auto& dims = function_.vars[output->value].type.dims;
        if (std::any_of(dims.begin(), dims.end(),
                        [&](const Dim& d) { return d.dependsOn(kBatch) && &d != &dims[0]; })) {
          return false;
        }
      } else if (auto* call = std::get_if<CallVjp>(&stmt.node)) {
        if (!Rowwise(helpers_[call->primal], helpers_).check()) {
          return false;
        }
      } else if (std::get_if<Grad>(&stmt.node)) {
        return false; // a loss joins all rows
      }
    }
    return true;
  }

  const Function& function_;
  const std::vector<Function>& helpers_;
  std::optional<IndexId> row_;
  std::set<VarId> ends_; // what ends a scan when all of its rows have ended
  std::set<const Scalar*> seen_;

  bool expression(const ScalarPtr& s) {
    if (auto* extent = std::get_if<ExtentRef>(&s->node)) {
      return !extent->extent.dependsOn(kBatch);
    }
    if (auto* index = std::get_if<IndexRef>(&s->node)) {
      return index->index != row_;
    }
    if (auto* access = std::get_if<Access>(&s->node)) {
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
