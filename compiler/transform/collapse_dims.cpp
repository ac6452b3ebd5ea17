#include "compiler/transform/collapse_dims.h"

#include "compiler/support/assert.h"

#include <algorithm>
#include <map>

namespace dnn::transform {

namespace {

using graph::ExprKind;
using graph::ExprRef;
using graph::Function;
using graph::IndexVar;
using graph::Op;
using graph::OpKind;
using graph::Value;

/// One pair of neighbours: the dimensions `at` and `at + 1` of a value, or the indices with these numbers of an op.
struct Pair {
  const void* of = nullptr;
  uint32_t at = 0;
  auto operator<=>(const Pair&) const = default;
};

bool mayBecomeOne(const Dim& a, const Dim& b) { return a.isStatic() || b.isStatic(); }

Dim product(const Dim& a, const Dim& b) { return a.isStatic() ? b * a.constant() : a * b.constant(); }

class Collapser {
public:
  explicit Collapser(Function& kernel) : kernel_(kernel) {}

  CollapsedKernel run(const std::vector<SameBuffer>& buffers) {
    CollapsedKernel out;
    if (isSimple()) {
      for (const Op* op : kernel_.body.ops) {
        for (const Value* v : op->results) {
          addDims(v->type.dims, v, 0);
        }
        addDims(extentsOf(op->dims), op, 0);
        addDims(extentsOf(op->reduced), op, static_cast<uint32_t>(op->dims.size()));
      }
      for (const Op* op : kernel_.body.ops) {
        connect(*op);
      }
      for (const auto& [a, b] : buffers) {
        for (uint32_t d = 0; d + 1 < a->type.dims.size(); ++d) {
          tie({a, d}, {b, d});
        }
      }
      dropImpossible();
    }
    for (const Op* op : kernel_.body.ops) {
      if (op->kind == OpKind::Input) {
        out.inputs.push_back(mergedOf(op->results[0], op->results[0]->type.dims.size(), 0));
      }
    }
    for (const Value* v : kernel_.returns) {
      out.returns.push_back(mergedOf(v, v->type.dims.size(), 0));
    }
    if (!possible_.empty()) {
      rewrite();
    }
    return out;
  }

private:
  bool isSimple() const {
    return std::ranges::all_of(kernel_.body.ops, [](const Op* op) {
      return op->kind == OpKind::Input || op->kind == OpKind::Env || op->kind == OpKind::Comp;
    });
  }

  static std::vector<Dim> extentsOf(const std::vector<IndexVar>& vars) {
    std::vector<Dim> extents;
    for (const IndexVar& var : vars) {
      extents.push_back(var.extent);
    }
    return extents;
  }

  void addDims(const std::vector<Dim>& dims, const void* of, uint32_t first) {
    for (uint32_t d = 0; d + 1 < dims.size(); ++d) {
      if (mayBecomeOne(dims[d], dims[d + 1])) {
        possible_[{of, first + d}] = {};
      }
    }
  }

  /// Whoever merges one of the two merges the other.
  void tie(const Pair& a, const Pair& b) {
    for (auto [from, to] : {std::pair(a, b), std::pair(b, a)}) {
      if (auto found = possible_.find(from); found != possible_.end()) {
        found->second.push_back(to);
      }
    }
  }

  void forbid(const Pair& pair) { possible_.erase(pair); }
  void forbidIndex(const Op& op, uint32_t index) {
    forbid({&op, index});
    if (index > 0) {
      forbid({&op, index - 1});
    }
  }

  static Dim extentOf(const Op& op, uint32_t index) {
    return index < op.dims.size() ? op.dims[index].extent : op.reduced[index - op.dims.size()].extent;
  }

  void connect(const Op& op) {
    for (uint32_t d = 0; op.kind == OpKind::Comp && d + 1 < op.dims.size(); ++d) {
      tie({&op, d}, {op.results[0], d});
    }
    if (op.body == nullptr) {
      return;
    }
    // A bare index in a subscript is seen there; everywhere else it stands for itself.
    graph::forEachNode(op.body, [&](ExprRef e) {
      if (e->kind == ExprKind::Access) {
        connectAccess(op, *e);
        return;
      }
      for (ExprRef arg : e->args) {
        if (arg->kind == ExprKind::Index) {
          forbidIndex(op, arg->index);
        }
      }
    });
    if (op.body->kind == ExprKind::Index) {
      forbidIndex(op, op.body->index);
    }
  }

  void connectAccess(const Op& op, const graph::Expr& access) {
    const Value* v = op.operands[access.operand];
    const std::vector<Dim>& dims = v->type.dims;
    auto whole = [&](size_t d) {
      ExprRef e = access.args[d];
      return e->kind == ExprKind::Index && extentOf(op, e->index) == dims[d];
    };
    for (uint32_t d = 0; d < dims.size(); ++d) {
      ExprRef e = access.args[d];
      if (e->kind == ExprKind::Index && !whole(d)) {
        forbidIndex(op, e->index);
      }
      bool pair = d + 1 < dims.size() && whole(d) && whole(d + 1) && access.args[d + 1]->index == e->index + 1;
      if (pair) {
        tie({&op, e->index}, {v, d});
      } else if (d + 1 < dims.size()) {
        forbid({v, d});
      }
      if (e->kind == ExprKind::Index) {
        // Each neighbour of the index has to be the neighbour here.
        bool next = d + 1 < dims.size() && access.args[d + 1]->kind == ExprKind::Index &&
                    access.args[d + 1]->index == e->index + 1;
        bool before = d > 0 && access.args[d - 1]->kind == ExprKind::Index && access.args[d - 1]->index + 1 == e->index;
        if (!next) {
          forbid({&op, e->index});
        }
        if (!before && e->index > 0) {
          forbid({&op, e->index - 1});
        }
      }
    }
  }

  /// Until every pair that is left has all its ties left.
  void dropImpossible() {
    for (bool changed = true; changed;) {
      changed = std::erase_if(possible_, [&](const auto& entry) {
                  return std::ranges::any_of(entry.second, [&](const Pair& p) { return !possible_.contains(p); });
                }) > 0;
    }
  }

  bool merges(const void* of, uint32_t at) const { return possible_.contains({of, at}); }

  MergedDims mergedOf(const void* of, size_t count, uint32_t first) const {
    MergedDims merged;
    for (uint32_t d = 0; d < count; ++d) {
      if (d > 0 && merges(of, first + d - 1)) {
        ++merged.back();
      } else {
        merged.push_back(1);
      }
    }
    return merged;
  }

  /// Named by their numbers, so that equal kernels have equal texts however they came about.
  std::vector<IndexVar> mergedVars(const Op& op, const std::vector<IndexVar>& vars, uint32_t first,
                                   const char* prefix) const {
    std::vector<IndexVar> out;
    for (const Dim& extent : mergedExtents(extentsOf(vars), mergedOf(&op, vars.size(), first))) {
      out.push_back({prefix + std::to_string(out.size()), extent});
    }
    return out;
  }

  void rewrite() {
    for (Op* op : kernel_.body.ops) {
      if (op->body != nullptr) {
        rewriteBody(*op);
      }
    }
    for (Op* op : kernel_.body.ops) {
      for (Value* v : op->results) {
        v->type.dims = mergedExtents(v->type.dims, mergedOf(v, v->type.dims.size(), 0));
      }
    }
  }

  void rewriteBody(Op& op) {
    graph::ExprPool& pool = kernel_.module.exprs;
    auto rank = static_cast<uint32_t>(op.dims.size());
    std::vector<uint32_t> number(rank + op.reduced.size()); // of the index that stands for it
    for (uint32_t i = 0; i < number.size(); ++i) {
      number[i] = i == 0 ? 0 : number[i - 1] + (i != rank && merges(&op, i - 1) ? 0 : 1);
    }
    ExprRef body = graph::rewrite(pool, op.body, [&](ExprRef e, const std::vector<ExprRef>& args) -> ExprRef {
      if (e->kind == ExprKind::Index) {
        return pool.index(number[e->index]);
      }
      if (e->kind != ExprKind::Access) {
        return nullptr;
      }
      std::vector<ExprRef> kept;
      for (uint32_t d = 0; d < args.size(); ++d) {
        if (d == 0 || !merges(op.operands[e->operand], d - 1)) {
          kept.push_back(args[d]);
        }
      }
      return pool.access(e->operand, e->dtype, std::move(kept), e->fill);
    });
    std::vector<IndexVar> dims = mergedVars(op, op.dims, 0, "i");
    op.reduced = mergedVars(op, op.reduced, rank, "r");
    op.dims = std::move(dims);
    op.body = body;
  }

  Function& kernel_;
  std::map<Pair, std::vector<Pair>> possible_; // with the pairs that merge with each
};

} // namespace

std::vector<Dim> mergedExtents(const std::vector<Dim>& dims, const MergedDims& merged) {
  std::vector<Dim> out;
  size_t next = 0;
  for (uint32_t count : merged) {
    Dim extent = dims.at(next++);
    for (uint32_t i = 1; i < count; ++i) {
      extent = product(extent, dims.at(next++));
    }
    out.push_back(extent);
  }
  DNN_ASSERT(next == dims.size(), "every dimension is part of one");
  return out;
}

CollapsedKernel collapseDims(Function& kernel, const std::vector<SameBuffer>& buffers) {
  return Collapser(kernel).run(buffers);
}

} // namespace dnn::transform
