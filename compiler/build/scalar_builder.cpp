// A comp has one reduction, outermost. In the program a reduction may stand anywhere in an expression, so each one that
// is not the whole of a let becomes a comp whose dims are the enclosing indices that it depends on:
//
//   y[n, o] = (sum[k] x[n, k] * w[k, o]) / (sum[k] x[n, k])
//   %0 = comp [n:N, o:O] add [k:K] : f32 { mul(%x[n, k], %w[k, o]) }
//   %1 = comp [n:N] add [k:K] : f32 { %x[n, k] }                           not over o: computed once a row
//   %y = comp [n:N, o:O] : f32 { div(%0[n, o], %1[n]) }
#include "compiler/build/scalar_builder.h"

#include "compiler/support/assert.h"

#include <algorithm>
#include <limits>
#include <set>

namespace dnn::build {

namespace {

using graph::ExprRef;
using sema::IndexId;
using sema::Reduce;
using sema::Scalar;
using sema::ScalarPtr;

Reduction reductionOf(Reduce::Kind kind) {
  switch (kind) {
  case Reduce::Kind::Sum:
  case Reduce::Kind::Mean: return Reduction::Add;
  case Reduce::Kind::Prod: return Reduction::Mul;
  case Reduce::Kind::Max: return Reduction::Max;
  case Reduce::Kind::Min: return Reduction::Min;
  case Reduce::Kind::ArgMax: return Reduction::ArgMax;
  case Reduce::Kind::ArgMin: return Reduction::ArgMin;
  case Reduce::Kind::Any: return Reduction::Any;
  case Reduce::Kind::All: return Reduction::All;
  }
  DNN_UNREACHABLE("every reduction of the program exists in the graph");
}

/// The smallest (sign < 0) or largest number of a type.
ExprRef extreme(graph::ExprPool& pool, DType dtype, int sign) {
  switch (dtype) {
  case DType::F32: return pool.number(sign * static_cast<double>(std::numeric_limits<float>::max()), dtype);
  case DType::BF16:
  case DType::F16: break; // read as f32
  case DType::F64: return pool.number(sign * std::numeric_limits<double>::max(), dtype);
  case DType::I32:
    return pool.integer(sign < 0 ? std::numeric_limits<int32_t>::min() : std::numeric_limits<int32_t>::max(), dtype);
  case DType::I64:
    return pool.integer(sign < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max(), dtype);
  case DType::U32: return pool.integer(sign < 0 ? 0 : std::numeric_limits<uint32_t>::max(), dtype);
  case DType::U8: return pool.integer(sign < 0 ? 0 : std::numeric_limits<uint8_t>::max(), dtype);
  case DType::Bool: return pool.boolean(sign > 0);
  }
  DNN_UNREACHABLE("every element type has a range");
}

ExprRef constant(graph::ExprPool& pool, DType dtype, int value) {
  return isFloat(dtype) ? pool.number(value, dtype) : pool.integer(value, dtype);
}

/// What a point that the guard leaves out contributes: nothing.
ExprRef identityOf(graph::ExprPool& pool, Reduce::Kind kind, DType dtype) {
  switch (kind) {
  case Reduce::Kind::Sum:
  case Reduce::Kind::Mean: return constant(pool, dtype, 0);
  case Reduce::Kind::Prod: return constant(pool, dtype, 1);
  case Reduce::Kind::Max:
  case Reduce::Kind::ArgMax: return extreme(pool, dtype, -1);
  case Reduce::Kind::Min:
  case Reduce::Kind::ArgMin: return extreme(pool, dtype, 1);
  case Reduce::Kind::Any: return pool.boolean(false);
  case Reduce::Kind::All: return pool.boolean(true);
  }
  DNN_UNREACHABLE("every reduction has an identity");
}

class LetBuilder {
public:
  LetBuilder(LetContext& context, const sema::Let& let, graph::Loc loc)
      : context_(context), pool_(context.to.module.exprs), let_(let), loc_(loc) {}

  graph::Value* run() {
    const TensorType& type = context_.from.vars[let_.var].type;
    const auto* reduce = std::get_if<Reduce>(&let_.value->node);
    if (reduce != nullptr && reduce->kind != Reduce::Kind::Mean && !reduce->indices.empty() &&
        freeOf(*let_.value).size() == let_.indices.size()) {
      return makeComp(let_.indices, *reduce, type, loc_);
    }
    Scope scope(let_.indices);
    ExprRef body = lower(scope, let_.value);
    return finish(scope, let_.indices, {}, Reduction::None, body, type, loc_);
  }

private:
  /// A comp in the making: positions of its indices and operands.
  struct Scope {
    explicit Scope(const std::vector<IndexId>& domain) : indices(domain) {}
    std::vector<IndexId> indices; // dims first, then the reduction's
    std::vector<graph::Value*> operands;
    std::unordered_map<const Scalar*, ExprRef> lowered;
  };

  graph::Value* makeComp(const std::vector<IndexId>& dims, const Reduce& reduce, const TensorType& type,
                         graph::Loc loc) {
    Scope scope(dims);
    scope.indices.insert(scope.indices.end(), reduce.indices.begin(), reduce.indices.end());
    ExprRef body = lower(scope, reduce.body);
    if (reduce.guard) {
      body = pool_.apply(ScalarOp::Select,
                         {lower(scope, reduce.guard), body, identityOf(pool_, reduce.kind, reduce.body->dtype)});
    }
    return finish(scope, dims, reduce.indices, reductionOf(reduce.kind), body, type, loc);
  }

  graph::Value* finish(const Scope& scope, const std::vector<IndexId>& dims, const std::vector<IndexId>& reduced,
                       Reduction reduction, ExprRef body, const TensorType& type, graph::Loc loc) {
    graph::Op* op = context_.blocks.append(graph::OpKind::Comp, scope.operands, {type}, loc);
    op->dims = variables(dims);
    op->reduced = variables(reduced);
    op->reduction = reduction;
    op->body = body;
    graph::normalizeOperands(pool_, *op);
    return op->results[0];
  }

  std::vector<graph::IndexVar> variables(const std::vector<IndexId>& ids) const {
    std::vector<graph::IndexVar> vars;
    for (IndexId id : ids) {
      vars.push_back({context_.from.indices[id].name, context_.from.indices[id].extent});
    }
    return vars;
  }

  ExprRef lower(Scope& scope, const ScalarPtr& scalar) {
    if (auto found = scope.lowered.find(scalar.get()); found != scope.lowered.end()) {
      return found->second;
    }
    ExprRef made = std::visit([&](const auto& node) { return lowerNode(scope, *scalar, node); }, scalar->node);
    scope.lowered[scalar.get()] = made;
    return made;
  }

  ExprRef lowerNode(Scope&, const Scalar& s, const sema::Number& n) { return pool_.number(n.value, s.dtype); }
  ExprRef lowerNode(Scope&, const Scalar& s, const sema::Integer& n) {
    return s.dtype == DType::Bool ? pool_.boolean(n.value != 0) : pool_.integer(n.value, s.dtype);
  }
  ExprRef lowerNode(Scope& scope, const Scalar&, const sema::IndexRef& ref) { return indexOf(scope, ref.index); }
  ExprRef lowerNode(Scope&, const Scalar&, const sema::ExtentRef& ref) { return extentOf(ref.extent); }
  ExprRef lowerNode(Scope& scope, const Scalar& s, const sema::Cast& cast) {
    return pool_.cast(s.dtype, lower(scope, cast.value));
  }
  ExprRef lowerNode(Scope& scope, const Scalar&, const sema::Apply& apply) {
    return pool_.apply(apply.op, lowerAll(scope, apply.args));
  }
  ExprRef lowerNode(Scope& scope, const Scalar&, const sema::Access& access) {
    if (context_.blocks.isStep(access.var)) {
      return lowerStep(scope, access.var);
    }
    graph::Value* value = context_.values[access.var];
    DNN_ASSERT(value != nullptr, "a var of the program is defined before it is used");
    std::vector<ScalarPtr> subscripts = access.subscripts;
    std::optional<double> fill = access.fill;
    value = sliced(value, subscripts, fill);
    return pool_.access(operandOf(scope, value), value->type.dtype, lowerAll(scope, subscripts), fill);
  }

  ExprRef lowerStep(Scope& scope, sema::VarId step) {
    return pool_.access(operandOf(scope, context_.blocks.counter(step)), DType::I32, {});
  }

  /// Takes the subscripts away that only say which step's part of a value from outside is read, scan by scan from the
  /// outermost: x[n, t, k] in a scan over t reads x_t[n, k].
  graph::Value* sliced(graph::Value* value, std::vector<ScalarPtr>& subscripts, std::optional<double>& fill) {
    for (;;) {
      std::vector<BlockBuilder::StepSubscript> ofStep;
      for (size_t i = 0; i < subscripts.size(); ++i) {
        std::optional<StepForm> form = stepForm(subscripts[i]);
        if (!form || !form->step || !context_.blocks.canSlice(value, *form->step)) {
          continue;
        }
        size_t level = context_.blocks.levelOfStep(*form->step);
        size_t chosen = ofStep.empty() ? level : context_.blocks.levelOfStep(ofStep[0].step);
        if (level < chosen) {
          ofStep.clear();
        }
        if (level <= chosen) {
          ofStep.push_back({i, *form->step, form->factor, form->offset});
        }
      }
      if (ofStep.empty()) {
        return value;
      }
      value = context_.blocks.slice(value, ofStep, fill, loc_);
      for (size_t i = ofStep.size(); i-- > 0;) {
        subscripts.erase(subscripts.begin() + static_cast<std::ptrdiff_t>(ofStep[i].position));
      }
      bool inside = true; // what is left cannot leave the tensor
      for (size_t i = 0; i < subscripts.size(); ++i) {
        const auto* index = std::get_if<sema::IndexRef>(&subscripts[i]->node);
        inside = inside && index != nullptr && context_.from.indices[index->index].extent == value->type.dims[i];
      }
      if (inside) {
        fill.reset();
      }
    }
  }

  /// step · factor + offset; without a step, a number.
  struct StepForm {
    std::optional<sema::VarId> step;
    int64_t factor = 0;
    Dim offset;
  };
  std::optional<StepForm> stepForm(const ScalarPtr& s) const {
    if (const auto* integer = std::get_if<sema::Integer>(&s->node)) {
      return StepForm{std::nullopt, 0, Dim(integer->value)};
    }
    if (const auto* extent = std::get_if<sema::ExtentRef>(&s->node)) {
      return StepForm{std::nullopt, 0, extent->extent};
    }
    if (const auto* access = std::get_if<sema::Access>(&s->node)) {
      return context_.blocks.isStep(access->var) ? std::optional(StepForm{access->var, 1, Dim(0)}) : std::nullopt;
    }
    const auto* apply = std::get_if<sema::Apply>(&s->node);
    if (apply == nullptr) {
      return std::nullopt;
    }
    std::optional<StepForm> a = stepForm(apply->args[0]);
    if (apply->op == ScalarOp::Neg && a) {
      return scaled(*a, -1);
    }
    std::optional<StepForm> b = apply->args.size() == 2 ? stepForm(apply->args[1]) : std::nullopt;
    if (!a || !b) {
      return std::nullopt;
    }
    bool sum = apply->op == ScalarOp::Add || apply->op == ScalarOp::Sub;
    if (sum && !(a->step && b->step && *a->step != *b->step)) {
      StepForm right = apply->op == ScalarOp::Add ? *b : scaled(*b, -1);
      return StepForm{a->step ? a->step : b->step, a->factor + right.factor, a->offset + right.offset};
    }
    auto number = [](const StepForm& f) { return !f.step && f.offset.isStatic(); };
    if (apply->op == ScalarOp::Mul && (number(*a) || number(*b))) {
      return number(*a) ? scaled(*b, a->offset.constant()) : scaled(*a, b->offset.constant());
    }
    return std::nullopt;
  }
  static StepForm scaled(const StepForm& form, int64_t factor) {
    return {form.step, form.factor * factor, form.offset * factor};
  }

  ExprRef lowerNode(Scope& scope, const Scalar& s, const sema::Draw& draw) {
    std::vector<Coordinate> statics;
    std::vector<Coordinate> symbolic;
    for (sema::VarId step : draw.steps) {
      const Dim& steps = *context_.from.vars[step].type.bound;
      (steps.isStatic() ? statics : symbolic).push_back({lowerStep(scope, step), steps});
    }
    for (IndexId id : draw.coordinates) {
      const Dim& extent = context_.from.indices[id].extent;
      (extent.isStatic() ? statics : symbolic).push_back({indexOf(scope, id), extent});
    }
    ExprRef drawn = pool_.draw(draw.distribution, draw.site, rowMajor(statics), rowMajor(symbolic));
    return s.dtype == drawn->dtype ? drawn : pool_.cast(s.dtype, drawn);
  }

  ExprRef lowerNode(Scope& scope, const Scalar& s, const Reduce& reduce) {
    if (reduce.indices.empty()) { // over an empty pack: one point
      bool isPosition = reduce.kind == Reduce::Kind::ArgMax || reduce.kind == Reduce::Kind::ArgMin;
      ExprRef body = isPosition ? pool_.integer(0, s.dtype) : lower(scope, reduce.body);
      return reduce.guard && !isPosition ? pool_.apply(ScalarOp::Select, {lower(scope, reduce.guard), body,
                                                                          identityOf(pool_, reduce.kind, s.dtype)})
                                         : body;
    }
    ExprRef value = accessReduction(scope, s, reduce);
    if (reduce.kind != Reduce::Kind::Mean) {
      return value;
    }
    if (!reduce.guard) {
      return pool_.apply(ScalarOp::Mul, {value, reciprocalCount(reduce.indices, s.dtype)});
    }
    return pool_.apply(ScalarOp::Div, {value, accessReduction(scope, *keptCount(s, reduce))});
  }

  ExprRef accessReduction(Scope& scope, const Scalar& s) { return accessReduction(scope, s, std::get<Reduce>(s.node)); }

  ExprRef accessReduction(Scope& scope, const Scalar& s, const Reduce& reduce) {
    auto found = context_.reductions.built.find(&s);
    if (found == context_.reductions.built.end()) {
      const std::vector<IndexId>& free = freeOf(s);
      BuiltReduction built;
      for (IndexId id : scope.indices) { // in the order of the enclosing comp
        if (std::binary_search(free.begin(), free.end(), id)) {
          built.indices.push_back(id);
        }
      }
      DNN_ASSERT(built.indices.size() == free.size(), "the indices of a reduction are bound around it");
      built.value = makeComp(built.indices, reduce, typeOf(s, reduce, built.indices), context_.locations.of(s.range));
      found = context_.reductions.built.emplace(&s, std::move(built)).first;
    }
    std::vector<ExprRef> subscripts;
    for (IndexId id : found->second.indices) {
      subscripts.push_back(indexOf(scope, id));
    }
    graph::Value* value = found->second.value;
    return pool_.access(operandOf(scope, value), value->type.dtype, std::move(subscripts));
  }

  TensorType typeOf(const Scalar& s, const Reduce& reduce, const std::vector<IndexId>& dims) const {
    TensorType type;
    type.dtype = s.dtype;
    for (IndexId id : dims) {
      type.dims.push_back(context_.from.indices[id].extent);
    }
    if (reduce.kind == Reduce::Kind::ArgMax || reduce.kind == Reduce::Kind::ArgMin) {
      type.bound = linearCount(reduce.indices);
    }
    return type;
  }

  /// The number of points as a linear form; none where two symbols multiply.
  std::optional<Dim> linearCount(const std::vector<IndexId>& ids) const {
    Dim count = 1;
    for (IndexId id : ids) {
      const Dim& extent = context_.from.indices[id].extent;
      if (extent.isStatic()) {
        count = count * extent.constant();
      } else if (count.isStatic()) {
        count = extent * count.constant();
      } else {
        return std::nullopt;
      }
    }
    return count;
  }

  /// 1 / number of points, in one multiplication less than a division where the number is known.
  ExprRef reciprocalCount(const std::vector<IndexId>& ids, DType dtype) {
    if (std::optional<Dim> count = linearCount(ids)) {
      return count->isStatic() ? pool_.number(1.0 / static_cast<double>(count->constant()), dtype)
                               : pool_.apply(ScalarOp::Div, {pool_.number(1, dtype), extentAs(dtype, *count)});
    }
    ExprRef count = nullptr;
    for (IndexId id : ids) {
      ExprRef factor = extentAs(dtype, context_.from.indices[id].extent);
      count = count == nullptr ? factor : pool_.apply(ScalarOp::Mul, {count, factor});
    }
    return pool_.apply(ScalarOp::Div, {pool_.number(1, dtype), count});
  }

  /// `sum[k | guard] 1`, the number of points that a guarded mean keeps.
  const ScalarPtr& keptCount(const Scalar& mean, const Reduce& reduce) {
    ScalarPtr& made = context_.reductions.keptCounts[&mean];
    if (!made) {
      auto one = std::make_shared<const Scalar>(Scalar{mean.dtype, mean.range, sema::Number{1}});
      made = std::make_shared<const Scalar>(
          Scalar{mean.dtype, mean.range, Reduce{Reduce::Kind::Sum, reduce.indices, reduce.guard, one}});
    }
    return made;
  }

  ExprRef extentOf(const Dim& extent) {
    return extent.isStatic() ? pool_.integer(extent.constant()) : pool_.extent(extent);
  }

  ExprRef extentAs(DType dtype, const Dim& extent) {
    return extent.isStatic() ? pool_.number(static_cast<double>(extent.constant()), dtype)
                             : pool_.cast(dtype, pool_.extent(extent));
  }

  /// ((i0 · e1 + i1) · e2 + i2) …; 0 for no index.
  struct Coordinate {
    ExprRef at;
    Dim extent;
  };
  ExprRef rowMajor(const std::vector<Coordinate>& coordinates) {
    ExprRef position = nullptr;
    for (const Coordinate& c : coordinates) {
      if (position == nullptr) {
        position = c.at;
        continue;
      }
      position = pool_.apply(ScalarOp::Add, {pool_.apply(ScalarOp::Mul, {position, extentOf(c.extent)}), c.at});
    }
    return position == nullptr ? pool_.integer(0) : position;
  }

  std::vector<ExprRef> lowerAll(Scope& scope, const std::vector<ScalarPtr>& scalars) {
    std::vector<ExprRef> made;
    for (const ScalarPtr& scalar : scalars) {
      made.push_back(lower(scope, scalar));
    }
    return made;
  }

  ExprRef indexOf(const Scope& scope, IndexId id) {
    auto found = std::find(scope.indices.begin(), scope.indices.end(), id);
    DNN_ASSERT(found != scope.indices.end(), "an index is used inside its let or reduction");
    return pool_.index(static_cast<uint32_t>(found - scope.indices.begin()));
  }

  uint32_t operandOf(Scope& scope, graph::Value* value) {
    auto found = std::find(scope.operands.begin(), scope.operands.end(), value);
    if (found == scope.operands.end()) {
      found = scope.operands.insert(found, value);
    }
    return static_cast<uint32_t>(found - scope.operands.begin());
  }

  /// The indices that the value depends on and that are bound outside of it, sorted.
  const std::vector<IndexId>& freeOf(const Scalar& s) {
    auto found = free_.find(&s);
    if (found != free_.end()) {
      return found->second;
    }
    std::set<IndexId> free;
    auto addAll = [&](const std::vector<ScalarPtr>& scalars) {
      for (const ScalarPtr& scalar : scalars) {
        const std::vector<IndexId>& below = freeOf(*scalar);
        free.insert(below.begin(), below.end());
      }
    };
    if (const auto* ref = std::get_if<sema::IndexRef>(&s.node)) {
      free.insert(ref->index);
    } else if (const auto* access = std::get_if<sema::Access>(&s.node)) {
      addAll(access->subscripts);
    } else if (const auto* apply = std::get_if<sema::Apply>(&s.node)) {
      addAll(apply->args);
    } else if (const auto* cast = std::get_if<sema::Cast>(&s.node)) {
      addAll({cast->value});
    } else if (const auto* draw = std::get_if<sema::Draw>(&s.node)) {
      free.insert(draw->coordinates.begin(), draw->coordinates.end());
    } else if (const auto* reduce = std::get_if<Reduce>(&s.node)) {
      addAll({reduce->body});
      if (reduce->guard) {
        addAll({reduce->guard});
      }
      for (IndexId id : reduce->indices) {
        free.erase(id);
      }
    }
    return free_.emplace(&s, std::vector<IndexId>(free.begin(), free.end())).first->second;
  }

  LetContext& context_;
  graph::ExprPool& pool_;
  const sema::Let& let_;
  graph::Loc loc_;
  std::unordered_map<const Scalar*, std::vector<IndexId>> free_;
};

} // namespace

graph::Value* buildLet(LetContext context, const sema::Let& let, graph::Loc loc) {
  return LetBuilder(context, let, loc).run();
}

} // namespace dnn::build
