// Run-time values: elements, variables, temporaries.
#include "compiler/sema/instantiator.h"
#include "compiler/sema/ranges.h"

namespace dnn::sema {

Tensor Instantiator::variable(VarId var) { return {out_->type(var), out_, var, {}, nullptr, false}; }

Tensor Instantiator::scalar(ScalarPtr body) {
  TensorType type{body->dtype, {}, std::nullopt};
  return {std::move(type), out_, std::nullopt, {}, std::move(body), false};
}

ScalarPtr Instantiator::element(const Tensor& t, std::vector<ScalarPtr> subscripts, SourceRange range) {
  if (t.var) {
    return makeScalar(t.type.dtype, range, Access{*t.var, std::move(subscripts), std::nullopt});
  }
  std::map<IndexId, ScalarPtr> replace;
  for (size_t i = 0; i < subscripts.size(); ++i) {
    replace[t.indices[i]] = subscripts[i];
  }
  return substitute(*out_, t.body, replace);
}

Tensor Instantiator::widened(const Tensor& t, SourceRange range) {
  if (!isStorageOnly(t.type.dtype)) {
    return t;
  }
  Tensor out = t;
  if (t.var) {
    out.indices = freshIndices(t.type.dims, range);
    std::vector<ScalarPtr> subscripts;
    for (IndexId index : out.indices) {
      subscripts.push_back(makeIndex(index, range));
    }
    out.body = element(t, std::move(subscripts), range);
    out.var.reset();
  }
  out.type.dtype = DType::F32;
  out.body = makeCast(DType::F32, out.body, range);
  return out;
}

std::optional<Dim> Instantiator::provedBound(const Tensor& t) {
  if (!isInteger(t.type.dtype)) {
    return std::nullopt;
  }
  Interval range = intervalOf(t.body, *out_);
  bool countable = range.lo && range.hi && provedAtMost(Dim(0), *range.lo, out_->symbols());
  return countable ? std::optional(*range.hi + Dim(1)) : std::nullopt;
}

VarId Instantiator::store(const Tensor& t, const std::string& name, SourceRange range) {
  if (t.var) {
    return *t.var;
  }
  // `let t = u`, or `let t[i, j] = u[i, j]`, is no new value.
  if (auto* access = std::get_if<Access>(&t.body->node); access && access->subscripts.size() == t.indices.size()) {
    bool same = out_->type(access->var).dims == t.type.dims;
    for (size_t i = 0; same && i < t.indices.size(); ++i) {
      auto* index = std::get_if<IndexRef>(&access->subscripts[i]->node);
      same = index && index->index == t.indices[i];
    }
    if (same) {
      return access->var;
    }
  }
  constexpr int64_t kMaxNodes = 20000;
  if (treeSize(t.body, kMaxNodes) == kMaxNodes) {
    error<DiagId::expression_too_large>(range, kMaxNodes);
  }
  TensorType type = t.type;
  type.bound = provedBound(t);
  return out_->emitLet(name, std::move(type), t.indices, t.body, range);
}

Value Instantiator::bindable(const Value& value, const std::string& name, SourceRange range, const Env& env) {
  if (auto* tuple = value.as<TupleValue>()) {
    TupleValue out;
    for (size_t i = 0; i < tuple->items.size(); ++i) {
      out.items.push_back(bindable(tuple->items[i], name + "." + std::to_string(i), range, env));
    }
    return out;
  }
  const Tensor* t = value.as<Tensor>();
  if (!t || t->var || env.element || (t->weak && t->type.isScalar())) {
    return value;
  }
  return variable(store(*t, name, range));
}

std::vector<IndexId> Instantiator::freshIndices(const std::vector<Dim>& dims, SourceRange range) {
  static constexpr const char* kNames[] = {"i", "j", "k", "l"};
  std::vector<IndexId> indices;
  for (size_t i = 0; i < dims.size(); ++i) {
    std::string name = i < 4 ? kNames[i] : "i" + std::to_string(i);
    indices.push_back(out_->addIndex(name, dims[i], range, false));
  }
  return indices;
}

} // namespace dnn::sema
