// Sums a large tensor in two steps: over the blocks of a row (the places of an image), then over the rows.
//
//   %s = comp [c:16] add [n:N, i:32, j:32] : f32 { %x[n, i, j, c] }
//      →   %0 = comp [n:N, c:16] add [i:32, j:32] : f32 { %x[n, i, j, c] }      %s = comp [c:16] add [n:N] { %0[n, c] }
//
// A block stays in the cache, so that several sums over it, and what makes it, read memory once (block_form.h); and
// each element is added to fewer others, which rounds less. Not worth it for one sum over a tensor that comes from
// elsewhere.
//
// A sum of squared distances from a value that is computed from a sum over the same tensor (a variance) would have to
// wait for the whole of that. So a block's distances are from a value of its own, its mean k, and are moved afterwards:
//
//   Σ (x - m)²  =  Σ (x - k)² + (k - m)·(2·Σ (x - k) + P·(k - m))
//
// which holds for every k, and cancels nothing with one near the block's mean, since then all terms are of the size of
// the result. Σ (x - k) is only the rounding error of k, but would count where m is large beside the distances.
#include "compiler/algebra/builder.h"
#include "compiler/algebra/reindex.h"
#include "compiler/schedule/analysis.h"
#include "compiler/transform/pass_manager.h"

#include <algorithm>
#include <map>

namespace dnn::transform {

namespace {

using graph::ExprKind;
using graph::ExprRef;
using graph::IndexVar;
using graph::Op;
using graph::OpKind;
using graph::Value;

constexpr int64_t leastBytes = 1 << 20; // of the tensor: less stays in the cache between two readers
constexpr int64_t mostBlockBytes = 128 << 10;
constexpr int64_t leastPoints = 32; // of a block: each costs an element of the sums in between
constexpr int64_t leastRows = 8;
constexpr int64_t leastColumns = 4;

/// What is summed, and how many of the reduced indices are rows.
struct Split {
  const Value* whole = nullptr; ///< an operand with an element for each point, in the order rows, block, columns
  size_t rows = 0;
};

class SumSplitter {
public:
  SumSplitter(graph::Function& function, graph::Block& block)
      : function_(function), b_(function.module.exprs), block_(block) {}

  Changed run() {
    std::map<const Op*, Split> splits;
    for (const Op* op : block_.ops) {
      if (std::optional<Split> split = splitOf(*op)) {
        splits.emplace(op, *split);
        ++sums_[split->whole];
      }
    }
    Changed changed = Changed::No;
    for (Op* op : block_.ops) {
      auto split = splits.find(op);
      if (split != splits.end() && isWorth(split->second)) {
        rewrite(*op, split->second);
        changed = Changed::Yes;
      }
      made_.push_back(op);
    }
    block_.ops = std::move(made_);
    return changed;
  }

private:
  graph::Function& function_;
  algebra::Builder b_;
  graph::Block& block_;
  std::vector<Op*> made_; // the block's ops, with the new ones
  std::map<const Value*, int> sums_;

  /// Several sums over one tensor; or it is made here, so that its maker may add it up.
  bool isWorth(const Split& split) const {
    bool made =
        split.whole->def->kind == OpKind::Comp && std::ranges::find(block_.ops, split.whole->def) != block_.ops.end();
    return made || sums_.at(split.whole) > 1;
  }

  std::optional<Split> splitOf(const Op& op) const {
    bool fits = op.kind == OpKind::Comp && op.reduction == Reduction::Add && isFloat(op.body->dtype) &&
                !op.dims.empty() && op.reduced.size() > 1 && !schedule::isContraction(op, function_.symbols);
    if (!fits) {
      return std::nullopt;
    }
    Split split;
    graph::forEachNode(op.body, [&](ExprRef e) {
      if (e->kind == ExprKind::Access && readsAll(op, e)) {
        const Value* v = op.operands[e->operand];
        // What is made here rather than what came from elsewhere; of those, what was made last.
        bool made = v->def->kind == OpKind::Comp;
        split.whole = split.whole == nullptr || made ? v : split.whole;
      }
    });
    int64_t bytes = byteSize(op.body->dtype), points = 1, columns = 1, rows = 1;
    for (const IndexVar& var : op.dims) {
      columns *= var.extent.isStatic() ? var.extent.constant() : 0;
    }
    split.rows = op.reduced.size();
    while (split.rows > 0) {
      const Dim& extent = op.reduced[split.rows - 1].extent;
      if (!extent.isStatic() || points * extent.constant() * columns * bytes > mostBlockBytes) {
        break;
      }
      points *= extent.constant();
      --split.rows;
    }
    split.rows = std::max<size_t>(split.rows, 1);
    points = 1;
    for (size_t r = 0; r < op.reduced.size(); ++r) {
      (r < split.rows ? rows : points) *= op.reduced[r].extent.max(function_.symbols);
    }
    bool worth = split.whole != nullptr && columns >= leastColumns && points >= leastPoints && rows >= leastRows &&
                 rows * points * columns * bytes >= leastBytes && points * columns * bytes <= mostBlockBytes;
    return worth ? std::optional(split) : std::nullopt;
  }

  /// Subscripts are the reduced indices, then the dims.
  static bool readsAll(const Op& op, ExprRef access) {
    size_t dims = op.dims.size(), reduced = op.reduced.size();
    bool all = access->args.size() == dims + reduced && !access->fill;
    for (size_t d = 0; all && d < access->args.size(); ++d) {
      size_t index = d < reduced ? dims + d : d - reduced;
      all = access->args[d]->kind == ExprKind::Index && access->args[d]->index == index;
    }
    return all;
  }

  static bool usesReduced(const Op& op, ExprRef e) {
    std::vector<bool> used = schedule::indicesOf(e, op.dims.size() + op.reduced.size());
    return std::find(used.begin() + static_cast<std::ptrdiff_t>(op.dims.size()), used.end(), true) != used.end();
  }

  /// v is the tensor, or computed from sums over it.
  static bool isSumOf(const Value* v, const Value* whole, int depth = 6) {
    return v == whole ||
           (depth > 0 && v->def->kind == OpKind::Comp &&
            std::ranges::any_of(v->def->operands, [&](const Value* o) { return isSumOf(o, whole, depth - 1); }));
  }

  /// x and m of the body (x - m)², if m is the same at every point and is not known before x is.
  std::optional<std::pair<ExprRef, ExprRef>> distance(const Op& op, const Split& split) const {
    ExprRef body = op.body;
    if (!algebra::isApply(body, ScalarOp::Mul) || body->args[0] != body->args[1] ||
        !algebra::isApply(body->args[0], ScalarOp::Sub)) {
      return std::nullopt;
    }
    ExprRef x = body->args[0]->args[0], m = body->args[0]->args[1];
    bool late = false;
    graph::forEachNode(
        m, [&](ExprRef e) { late |= e->kind == ExprKind::Access && isSumOf(op.operands[e->operand], split.whole); });
    return !usesReduced(op, m) && usesReduced(op, x) && late ? std::optional(std::pair(x, m)) : std::nullopt;
  }

  /// A comp over rows and columns, of a body in op's indices and `operands`; a sum over the block where that enters.
  Value* partial(const Op& op, const Split& split, ExprRef body, const std::vector<Value*>& operands, bool sum) {
    size_t dims = op.dims.size();
    std::vector<ExprRef> indices;
    for (size_t d = 0; d < dims; ++d) {
      indices.push_back(b_.pool().index(static_cast<uint32_t>(split.rows + d)));
    }
    for (size_t r = 0; r < op.reduced.size(); ++r) {
      indices.push_back(b_.pool().index(static_cast<uint32_t>(r < split.rows ? r : dims + r)));
    }
    auto firstOfBlock = op.reduced.begin() + static_cast<std::ptrdiff_t>(split.rows);
    std::vector<IndexVar> vars(op.reduced.begin(), firstOfBlock);
    vars.insert(vars.end(), op.dims.begin(), op.dims.end());
    TensorType type{op.body->dtype, {}, std::nullopt};
    for (const IndexVar& var : vars) {
      type.dims.push_back(var.extent);
    }
    Op* made = function_.createOp(OpKind::Comp, operands, {type}, op.loc);
    made->dims = std::move(vars);
    if (sum) {
      made->reduction = Reduction::Add;
      made->reduced.assign(firstOfBlock, op.reduced.end());
    }
    made->body = algebra::substituteIndices(b_, body, indices);
    graph::normalizeOperands(b_.pool(), *made);
    made_.push_back(made);
    return made->results[0];
  }

  /// The element of such a comp, in op's own indices.
  ExprRef element(const Op& op, const Split& split, Value* v, std::vector<Value*>& operands) const {
    std::vector<ExprRef> subscripts = algebra::indexRange(b_.pool(), static_cast<uint32_t>(op.dims.size()), split.rows);
    std::vector<ExprRef> dims = algebra::indexRange(b_.pool(), 0, op.dims.size());
    subscripts.insert(subscripts.end(), dims.begin(), dims.end());
    return b_.pool().access(algebra::operandPosition(operands, v), op.body->dtype, subscripts);
  }

  void rewrite(Op& op, const Split& split) {
    std::vector<Value*> operands = op.operands;
    ExprRef body = nullptr;
    if (std::optional<std::pair<ExprRef, ExprRef>> found = distance(op, split)) {
      auto [x, m] = *found;
      double points = 1;
      for (size_t r = split.rows; r < op.reduced.size(); ++r) {
        points *= static_cast<double>(op.reduced[r].extent.constant());
      }
      DType dtype = op.body->dtype;
      Value* sum = partial(op, split, x, op.operands, true);
      ExprRef mean = b_.mul(element(op, split, sum, operands), b_.constant(1 / points, dtype));
      Value* near = partial(op, split, mean, operands, false);
      ExprRef k = element(op, split, near, operands);
      ExprRef distance = b_.sub(x, k);
      Value* errors = partial(op, split, distance, operands, true);
      Value* squares = partial(op, split, b_.mul(distance, distance), operands, true);
      ExprRef off = b_.sub(k, m), error = element(op, split, errors, operands);
      ExprRef moved = b_.add(b_.mul(b_.constant(2, dtype), error), b_.mul(b_.constant(points, dtype), off));
      body = b_.add(element(op, split, squares, operands), b_.mul(off, moved));
    } else {
      Value* sum = partial(op, split, op.body, op.operands, true);
      body = element(op, split, sum, operands);
    }
    op.reduced.resize(split.rows);
    op.body = body;
    op.operands = std::move(operands);
    graph::normalizeOperands(b_.pool(), op);
  }
};

} // namespace

Result<Changed> splitSums(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    if (function->kind == graph::FunctionKind::Helper) {
      continue;
    }
    changed = changed | SumSplitter(*function, function->body).run();
  }
  return changed;
}

} // namespace dnn::transform
