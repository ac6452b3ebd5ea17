#include "compiler/autodiff/adjoint.h"

#include "compiler/algebra/reindex.h"
#include "compiler/autodiff/smooth_kinks.h"
#include "compiler/autodiff/solve.h"
#include "compiler/graph/affine.h"
#include "compiler/support/assert.h"

#include <algorithm>
#include <set>

namespace dnn::autodiff {

using algebra::indexRange;
using algebra::operandPosition;
using algebra::substituteIndices;
using graph::ExprKind;
using graph::IndexVar;
using graph::Loc;
using graph::Op;
using graph::OpKind;
using graph::Value;

void makeNamesDistinct(std::vector<IndexVar>& dims, std::vector<IndexVar>& reduced) {
  std::set<std::string> used;
  for (auto* vars : {&dims, &reduced}) {
    for (IndexVar& var : *vars) {
      std::string base = var.name.empty() ? "i" : var.name;
      std::string name = base;
      for (int n = 1; !used.insert(name).second; ++n) {
        name = base + std::to_string(n);
      }
      var.name = name;
    }
  }
}

std::vector<IndexVar> elementIndices(const TensorType& type) {
  std::vector<IndexVar> vars;
  std::vector<IndexVar> none;
  for (const Dim& dim : type.dims) {
    vars.push_back({"", dim});
  }
  makeNamesDistinct(vars, none);
  return vars;
}

Value* Emitter::comp(std::vector<IndexVar> dims, std::vector<IndexVar> reduced, Reduction reduction, ExprRef body,
                     std::vector<Value*> operands, TensorType type, Loc loc) {
  makeNamesDistinct(dims, reduced);
  Op* op = function.createOp(OpKind::Comp, std::move(operands), {std::move(type)}, loc);
  op->dims = std::move(dims);
  op->reduced = std::move(reduced);
  op->reduction = reduction;
  op->body = body;
  graph::normalizeOperands(builder.pool(), *op);
  made.push_back(op);
  return op->results[0];
}

Value* Emitter::scatter(TensorType type, std::vector<IndexVar> dims, std::vector<ExprRef> at, ExprRef body,
                        std::vector<Value*> operands, Loc loc) {
  std::vector<IndexVar> none;
  makeNamesDistinct(dims, none);
  Op* op = function.createOp(OpKind::Scatter, std::move(operands), {std::move(type)}, loc);
  op->dims = std::move(dims);
  op->reduction = Reduction::Add;
  op->body = body;
  op->at = std::move(at);
  graph::normalizeOperands(builder.pool(), *op);
  made.push_back(op);
  return op->results[0];
}

Value* Emitter::sum(Value* a, Value* b, Loc loc) {
  std::vector<ExprRef> indices = indexRange(builder.pool(), 0, a->type.rank());
  ExprRef left = builder.pool().access(0, a->type.dtype, indices);
  ExprRef right = builder.pool().access(1, b->type.dtype, indices);
  std::vector<IndexVar> dims =
      a->def->kind == OpKind::Comp ? a->def->dims : elementIndices(a->type); // the names that the reader knows
  for (size_t d = 0; d < dims.size(); ++d) {
    dims[d].extent = a->type.dims[d];
  }
  return comp(dims, {}, Reduction::None, builder.pool().apply(ScalarOp::Add, {left, right}), {a, b}, a->type, loc);
}

Value* Emitter::fill(TensorType type, double value, Loc loc) {
  ExprRef body = builder.constant(value, type.dtype);
  std::vector<IndexVar> dims = elementIndices(type);
  return comp(std::move(dims), {}, Reduction::None, body, {}, std::move(type), loc);
}

namespace {

/// A bound extent as an expression, a constant where it is static.
ExprRef extentExpr(const Builder& b, const Dim& dim) { return graph::toExpr(b.pool(), {dim, {}}); }

class OpAdjoint {
public:
  OpAdjoint(Emitter& emitter, const Op& op, Value* dy) : emitter_(emitter), b_(emitter.builder), op_(op), dy_(dy) {
    vars_ = op.dims;
    vars_.insert(vars_.end(), op.reduced.begin(), op.reduced.end());
    operands_ = op.operands;
  }

  Result<std::vector<Contribution>> run(const std::function<bool(const Value*)>& varied, bool strict) {
    ExprRef value = nullptr;
    if (op_.kind == OpKind::Comp && op_.reduction == Reduction::None) {
      Value* y = op_.results[0];
      value = pool().access(operandPosition(operands_, y), y->type.dtype, indexRange(pool(), 0, op_.dims.size()));
    }
    auto variedAccess = [&](ExprRef access) { return varied(op_.operands[access->operand]); };
    ExprRef dy = seed();
    Result<std::vector<AccessAdjoint>> reads = smoothAdjoint(b_, domain(), op_.body, dy, value, variedAccess, strict);
    if (!reads) {
      return reads.error();
    }
    std::vector<Contribution> result;
    for (const AccessAdjoint& read : *reads) {
      Value* x = op_.operands[read.access->operand];
      Value like;
      like.type = gradientType(x->type);
      result.push_back({x, adjointOfRead(like, read)});
    }
    return result;
  }

private:
  ExprPool& pool() const { return b_.pool(); }
  std::span<const Symbol> symbols() const { return emitter_.function.symbols; }

  /// The adjoint of the body's value at a point of the op's domain.
  ExprRef seed() {
    uint32_t position = operandPosition(operands_, dy_);
    if (op_.kind == OpKind::Scatter) {
      return pool().access(position, dy_->type.dtype, op_.at);
    }
    ExprRef dy = pool().access(position, dy_->type.dtype, indexRange(pool(), 0, op_.dims.size()));
    switch (op_.reduction) {
    case Reduction::None:
    case Reduction::Add: return dy;
    case Reduction::Mul: return b_.mul(dy, productOfOthers());
    case Reduction::Max: return seedOfExtremum(dy, Reduction::ArgMax);
    case Reduction::Min: return seedOfExtremum(dy, Reduction::ArgMin);
    case Reduction::ArgMax:
    case Reduction::ArgMin:
    case Reduction::Any:
    case Reduction::All: break;
    }
    DNN_UNREACHABLE("integers and bools have no adjoint");
  }

  /// dy where the point is the first extremum, which takes the whole gradient.
  ExprRef seedOfExtremum(ExprRef dy, Reduction position) {
    Value* winner = emitter_.comp(op_.dims, op_.reduced, position, op_.body, op_.operands,
                                  {DType::I32, op_.results[0]->type.dims, std::nullopt}, op_.loc);
    ExprRef access =
        pool().access(operandPosition(operands_, winner), DType::I32, indexRange(pool(), 0, op_.dims.size()));
    ExprRef rowMajor = pool().integer(0);
    for (size_t r = 0; r < op_.reduced.size(); ++r) {
      ExprRef index = pool().index(static_cast<uint32_t>(op_.dims.size() + r));
      rowMajor = b_.add(b_.mul(rowMajor, extentExpr(b_, op_.reduced[r].extent)), index);
    }
    return b_.when(b_.eq(access, rowMajor), dy);
  }

  /// Π over the other points, correct at zeros: a second copy of the reduction's indices with the own point left out.
  ExprRef productOfOthers() {
    std::vector<IndexVar> dims = vars_;
    std::vector<ExprRef> others = indexRange(pool(), 0, op_.dims.size());
    ExprRef isSelf = pool().boolean(true);
    for (size_t r = 0; r < op_.reduced.size(); ++r) {
      ExprRef own = pool().index(static_cast<uint32_t>(op_.dims.size() + r));
      ExprRef other = pool().index(static_cast<uint32_t>(vars_.size() + r));
      others.push_back(other);
      isSelf = b_.both(isSelf, b_.eq(own, other));
    }
    ExprRef factor = substituteIndices(b_, op_.body, others);
    ExprRef body = b_.select(isSelf, b_.one(factor->dtype), factor);
    TensorType type{factor->dtype, {}, std::nullopt};
    for (const IndexVar& var : dims) {
      type.dims.push_back(var.extent);
    }
    Value* product = emitter_.comp(dims, op_.reduced, Reduction::Mul, body, op_.operands, type, op_.loc);
    return pool().access(operandPosition(operands_, product), factor->dtype, indexRange(pool(), 0, vars_.size()));
  }

  /// The op's domain, with all operands so far.
  graph::IndexDomain domain() const {
    graph::IndexDomain domain{{}, {}, {symbols().begin(), symbols().end()}};
    for (const IndexVar& var : vars_) {
      domain.extents.push_back(var.extent);
    }
    for (const Value* operand : operands_) {
      domain.operands.push_back(operand->type);
    }
    return domain;
  }

  InverseProblem problemFor(const Value& x, const AccessAdjoint& read) const {
    InverseProblem problem;
    problem.domain = domain();
    problem.vars = vars_;
    problem.subscripts = read.access->args;
    problem.elementExtents = x.type.dims;
    problem.element = indexRange(pool(), 0, x.type.rank());
    return problem;
  }

  Value* adjointOfRead(const Value& x, const AccessAdjoint& read) {
    InverseProblem problem = problemFor(x, read);
    Inverse inverse = solveSubscripts(b_, problem);
    if (inverse.scatter) {
      return scatterForm(x, read);
    }
    return gatherInParts(x.type, read, problem, inverse);
  }

  /// By residues or of one slice, where that visits fewer points or has simpler subscripts.
  Value* gatherInParts(const TensorType& type, const AccessAdjoint& read, const InverseProblem& problem,
                       const Inverse& inverse) {
    Value* parts = nullptr;
    if (inverse.slice) {
      parts = sliced(type, read, problem, *inverse.slice);
    } else if (inverse.phase) {
      parts = polyphase(type, read, problem, *inverse.phase);
    } else if (inverse.evenPhase && readsApart(substituteIndices(b_, read.value, inverse.point))) {
      parts = polyphase(type, read, problem, *inverse.evenPhase);
    }
    return parts != nullptr ? parts : gather(type, read, problem, inverse);
  }

  /// Whether one tensor is read by a remainder and another one by a quotient. The same tensor by both is a view of it.
  bool readsApart(ExprRef value) const {
    bool byRemainder = false;
    bool byQuotient = false;
    graph::forEachNode(value, [&](ExprRef e) {
      if (e->kind != ExprKind::Access) {
        return;
      }
      bool remainder = false;
      bool quotient = false;
      for (ExprRef arg : e->args) {
        graph::forEachNode(arg, [&](ExprRef part) {
          remainder |= graph::isModByConstant(part);
          quotient |= graph::isDivByConstant(part);
        });
      }
      byRemainder |= remainder && !quotient;
      byQuotient |= quotient && !remainder;
    });
    return byRemainder && byQuotient;
  }

  static std::vector<IndexVar> unnamed(const std::vector<Dim>& extents) {
    std::vector<IndexVar> dims;
    for (const Dim& extent : extents) {
      dims.push_back({"", extent});
    }
    return dims;
  }

  /// Of one element index only one value has points: a comp for these, and one that puts them among zeros.
  Value* sliced(const TensorType& type, const AccessAdjoint& read, const InverseProblem& problem,
                Inverse::Slice slice) {
    if (type.dims[slice.dim] == Dim(1)) {
      return nullptr;
    }
    InverseProblem part = problem;
    std::vector<ExprRef> replacement = indexRange(pool(), 0, problem.element.size());
    replacement[slice.dim] = pool().integer(slice.at);
    for (ExprRef& element : part.element) {
      element = substituteIndices(b_, element, replacement);
    }
    part.elementExtents[slice.dim] = Dim(1);
    TensorType partType{type.dtype, part.elementExtents, std::nullopt};
    Value* inner = gatherInParts(partType, read, part, solveSubscripts(b_, part));
    std::vector<ExprRef> subscripts = indexRange(pool(), 0, type.rank());
    subscripts[slice.dim] = pool().integer(0);
    std::vector<Value*> operands;
    ExprRef element = pool().access(operandPosition(operands, inner), type.dtype, subscripts);
    ExprRef isSlice = b_.eq(pool().index(slice.dim), pool().integer(slice.at));
    ExprRef body = b_.select(isSlice, element, b_.zero(type.dtype));
    return emitter_.comp(unnamed(type.dims), {}, Reduction::None, body, operands, type, op_.loc);
  }

  /// A comp over elements of this type; which element of x one is, the problem says.
  Value* gather(const TensorType& type, const AccessAdjoint& read, const InverseProblem& problem,
                const Inverse& inverse) {
    ExprRef value = substituteIndices(b_, read.value, inverse.point);
    std::vector<IndexVar> dims = namedElements(type, inverse);
    graph::IndexDomain domain = problem.domain;
    domain.extents = problem.elementExtents;
    for (const IndexVar& var : inverse.free) {
      domain.extents.push_back(var.extent);
    }
    graph::RangeAnalysis ranges(domain);
    value = fillReads(value, ranges);
    ExprRef condition = nullptr;
    auto require = [&](ExprRef guard) { condition = condition == nullptr ? guard : b_.both(condition, guard); };
    for (size_t g = 0; g < inverse.guards.size(); ++g) {
      auto range = std::ranges::find(inverse.rangeGuards, g, &Inverse::RangeGuard::guard);
      if (range == inverse.rangeGuards.end() || !vanishesOutside(value, *range)) {
        require(fillReads(inverse.guards[g], ranges));
      }
    }
    if (read.guard != nullptr) {
      require(fillReads(substituteIndices(b_, read.guard, inverse.point), ranges));
    }
    ExprRef body = b_.when(condition, value);
    Reduction reduction = inverse.free.empty() ? Reduction::None : Reduction::Add;
    return emitter_.comp(dims, inverse.free, reduction, body, operands_, type, op_.loc);
  }

  /// Names of the element's indices: of the op's index that equals them, where one does.
  std::vector<IndexVar> namedElements(const TensorType& type, const Inverse& inverse) const {
    std::vector<IndexVar> dims;
    for (size_t d = 0; d < type.rank(); ++d) {
      std::string name;
      for (size_t v = 0; v < vars_.size(); ++v) {
        if (inverse.point[v]->kind == ExprKind::Index && inverse.point[v]->index == d && name.empty()) {
          name = vars_[v].name;
        }
      }
      dims.push_back({name, type.dims[d]});
    }
    return dims;
  }

  /// Gives the fill value 0 to every read that is not proved to stay inside its tensor: it leaves it only where the
  /// guard is false, or where the value is multiplied by another such read.
  ExprRef fillReads(ExprRef e, graph::RangeAnalysis& ranges) const {
    return algebra::rebuild(b_, e, [&](ExprRef node, const std::vector<ExprRef>& args) -> ExprRef {
      if (node->kind != ExprKind::Access) {
        return nullptr;
      }
      std::optional<double> fill = node->fill;
      const TensorType& type = operands_[node->operand]->type;
      for (size_t d = 0; d < args.size() && !fill; ++d) {
        if (!ranges.alwaysInRange(args[d], type.dims[d])) {
          fill = 0;
        }
      }
      return pool().access(node->operand, node->dtype, args, fill);
    });
  }

  /// Whether value is a product with a factor that reads 0 where the guarded index leaves its range, of factors that
  /// are all finite as long as the tensors are: then it needs no guard.
  bool vanishesOutside(ExprRef value, const Inverse::RangeGuard& range) const {
    bool vanishes = false;
    std::vector<ExprRef> factors = {value};
    while (!factors.empty()) {
      ExprRef e = factors.back();
      factors.pop_back();
      if (algebra::isApply(e, ScalarOp::Mul) || algebra::isApply(e, ScalarOp::Neg)) {
        factors.insert(factors.end(), e->args.begin(), e->args.end());
      } else if (e->kind == ExprKind::Access) {
        for (size_t d = 0; d < e->args.size(); ++d) {
          vanishes |= e->args[d] == range.value && operands_[e->operand]->type.dims[d] == range.extent && e->fill == 0;
        }
      } else if (e->kind != ExprKind::Const) {
        return false;
      }
    }
    return vanishes;
  }

  /// Element index d is modulus·q + r: one comp for each r, none of which visits a point in vain, and one that picks.
  Value* polyphase(const TensorType& whole, const AccessAdjoint& read, const InverseProblem& problem,
                   Inverse::Phase phase) {
    constexpr int64_t maxPhases = 8; // more would be many small kernels for few points saved
    if (phase.modulus > maxPhases || !problem.elementExtents[phase.dim].isStatic()) {
      return nullptr;
    }
    int64_t extent = problem.elementExtents[phase.dim].constant();
    ExprRef index = pool().index(phase.dim);
    ExprRef divisor = pool().integer(phase.modulus);
    std::vector<Value*> parts;
    for (int64_t r = 0; r < std::min(phase.modulus, extent); ++r) {
      InverseProblem part = problem;
      ExprRef position = b_.add(b_.mul(divisor, index), pool().integer(r));
      std::vector<ExprRef> replacement = indexRange(pool(), 0, problem.element.size());
      replacement[phase.dim] = position;
      for (ExprRef& element : part.element) {
        element = substituteIndices(b_, element, replacement);
      }
      part.elementExtents[phase.dim] = Dim((extent - r + phase.modulus - 1) / phase.modulus);
      TensorType type{whole.dtype, part.elementExtents, std::nullopt};
      Inverse inverse = solveSubscripts(b_, part);
      parts.push_back(inverse.empty ? nullptr : gatherInParts(type, read, part, inverse));
    }
    return interleave(problem.elementExtents, whole.dtype, phase, parts);
  }

  /// result[…, i, …] = parts[i % m][…, i / m, …]; 0 where there is no part.
  Value* interleave(const std::vector<Dim>& extents, DType dtype, Inverse::Phase phase,
                    const std::vector<Value*>& parts) {
    TensorType type{dtype, extents, std::nullopt};
    ExprRef index = pool().index(phase.dim);
    ExprRef modulus = pool().integer(phase.modulus);
    std::vector<ExprRef> subscripts = indexRange(pool(), 0, extents.size());
    subscripts[phase.dim] = b_.div(index, modulus);
    graph::RangeAnalysis ranges({extents, {}, {symbols().begin(), symbols().end()}});
    std::vector<Value*> operands;
    ExprRef body = nullptr;
    for (size_t r = parts.size(); r-- > 0;) {
      ExprRef part = b_.zero(dtype);
      if (parts[r] != nullptr) {
        bool inside = ranges.alwaysInRange(subscripts[phase.dim], parts[r]->type.dims[phase.dim]);
        part = pool().access(operandPosition(operands, parts[r]), dtype, subscripts,
                             inside ? std::nullopt : std::optional<double>(0));
      }
      ExprRef isPart = b_.eq(b_.make(ScalarOp::Mod, {index, modulus}), pool().integer(static_cast<int64_t>(r)));
      body = body == nullptr ? part : b_.select(isPart, part, body);
    }
    return emitter_.comp(unnamed(extents), {}, Reduction::None, body, operands, type, op_.loc);
  }

  /// dx[a(p)] += value(p) for every point p of the op's domain. Indices that do not occur in the subscripts are summed
  /// first, so that few elements are scattered.
  Value* scatterForm(const Value& x, const AccessAdjoint& read) {
    const std::vector<ExprRef>& at = read.access->args;
    std::vector<IndexVar> kept;
    std::vector<IndexVar> summed;
    std::vector<ExprRef> moved(vars_.size());
    std::vector<size_t> order;
    for (bool pass : {true, false}) {
      for (size_t v = 0; v < vars_.size(); ++v) {
        bool used =
            std::ranges::any_of(at, [&](ExprRef e) { return graph::dependsOnIndex(e, static_cast<uint32_t>(v)); });
        if (used == pass) {
          (used ? kept : summed).push_back(vars_[v]);
          moved[v] = pool().index(static_cast<uint32_t>(order.size()));
          order.push_back(v);
        }
      }
    }
    auto move = [&](ExprRef e) { return substituteIndices(b_, e, moved); };
    ExprRef condition = read.guard == nullptr ? nullptr : move(read.guard);
    std::vector<ExprRef> target;
    graph::IndexDomain domain{{}, {}, {symbols().begin(), symbols().end()}};
    for (const IndexVar& var : kept) {
      domain.extents.push_back(var.extent);
    }
    for (const Value* operand : operands_) {
      domain.operands.push_back(operand->type);
    }
    graph::RangeAnalysis ranges(domain);
    TensorType roomy = x.type; // with a place more along dims that may have none
    for (size_t d = 0; d < at.size(); ++d) {
      // Outside of x a read has its fill value, which is constant: nothing is added, at a place that exists.
      ExprRef place = move(at[d]);
      if (!ranges.alwaysInRange(place, x.type.dims[d])) {
        ExprRef extent = extentExpr(b_, x.type.dims[d]);
        ExprRef zero = pool().integer(0);
        ExprRef inside = pool().apply(
            ScalarOp::And, {pool().apply(ScalarOp::Ge, {place, zero}), pool().apply(ScalarOp::Lt, {place, extent})});
        condition = condition == nullptr ? inside : b_.both(condition, inside);
        // The limit stands first: it is the bound that the range analysis then keeps.
        ExprRef last = b_.sub(extent, pool().integer(1));
        if (x.type.dims[d].min(symbols()) < 1) {
          last = extent;
          roomy.dims[d] = x.type.dims[d] + Dim(1);
        }
        place = pool().apply(ScalarOp::Min, {last, pool().apply(ScalarOp::Max, {place, zero})});
      }
      target.push_back(place);
    }
    ExprRef body = b_.when(condition, move(read.value));
    std::vector<Value*> operands = operands_;
    if (!summed.empty()) {
      TensorType type{body->dtype, {}, std::nullopt};
      for (const IndexVar& var : kept) {
        type.dims.push_back(var.extent);
      }
      Value* partial = emitter_.comp(kept, summed, Reduction::Add, body, operands, type, op_.loc);
      body = pool().access(operandPosition(operands, partial), type.dtype, indexRange(pool(), 0, kept.size()));
    }
    Value* sums = emitter_.scatter(roomy, kept, target, body, operands, op_.loc);
    if (roomy.dims == x.type.dims) {
      return sums;
    }
    std::vector<IndexVar> dims;
    for (const Dim& extent : x.type.dims) {
      dims.push_back({"i" + std::to_string(dims.size()), extent});
    }
    ExprRef element = pool().access(0, x.type.dtype, indexRange(pool(), 0, dims.size()));
    return emitter_.comp(dims, {}, Reduction::None, element, {sums}, x.type, op_.loc);
  }

  Emitter& emitter_;
  const Builder& b_;
  const Op& op_;
  Value* dy_;
  std::vector<IndexVar> vars_;   // dims, then reduced
  std::vector<Value*> operands_; // op's operands, then what the adjoint reads besides
};

} // namespace

Result<std::vector<Contribution>> adjointOf(Emitter& emitter, const Op& op, Value* dy,
                                            const std::function<bool(const Value*)>& varied, bool strict) {
  return OpAdjoint(emitter, op, dy).run(varied, strict);
}

} // namespace dnn::autodiff
