// base[items; fill]: an element of a tensor. Each item is proved in range, unless there is a fill value.
#include "compiler/sema/ast_walk.h"
#include "compiler/sema/instantiator.h"
#include "compiler/sema/ranges.h"
#include "compiler/sema/suggest.h"

namespace dnn::sema {

bool Instantiator::dependsOnElements(const ast::Expr& e, const Env& env) const {
  if (const ast::Name* name = nameOf(e)) {
    const Binding* b = env.scope->find(name->text);
    if (!b) {
      return false;
    }
    if (auto* pack = b->value.as<IndexPack>()) {
      return !pack->indices.empty();
    }
    auto* t = b->value.as<Tensor>();
    if (!t || t->var) {
      return false;
    }
    std::set<IndexId> free = freeIndices(t->body);
    for (IndexId own : t->indices) {
      free.erase(own);
    }
    return !free.empty();
  }
  if (ast::getIf<ast::Scan>(e)) {
    return true; // its body may
  }
  bool depends = false;
  forEachChild(e, [&](const ast::Expr& child) { depends = depends || dependsOnElements(child, env); });
  return depends;
}

Value Instantiator::evalBase(const ast::Expr& base, Env& env) {
  if (env.bases) {
    if (auto known = env.bases->find(&base); known != env.bases->end()) {
      return known->second;
    }
  }
  // `softmax(x)[n, k]` inside a let: the whole tensor is computed once, before the let.
  bool whole = !dependsOnElements(base, env);
  Env outside = env;
  if (whole) {
    outside.element = false;
    outside.draws = nullptr;
    outside.reductions = 0;
  }
  Value value = eval(base, outside);
  if (auto* t = value.as<Tensor>(); t && whole && !t->type.isScalar()) {
    value = variable(store(*t, "t", base.range));
  }
  if (env.bases && !ast::getIf<ast::NameRef>(base)) {
    (*env.bases)[&base] = value;
  }
  return value;
}

void Instantiator::reportSubscriptCount(SourceRange range, size_t count, const ast::Expr& base,
                                        const TensorType& type) {
  error<DiagId::wrong_subscript_count>(range, counted(count, "subscript"), ast::print(base), str(type));
}

std::optional<std::vector<Instantiator::Item>> Instantiator::evalItems(const std::vector<ast::ExprPtr>& items,
                                                                       Env& env) {
  std::vector<Item> out;
  bool ok = true;
  for (const ast::ExprPtr& item : items) {
    if (auto* pack = ast::getIf<ast::PackRef>(*item)) {
      const Binding* b = env.scope->find(pack->name.text);
      auto* indices = b ? b->value.as<IndexPack>() : nullptr;
      if (!indices) {
        if (!b || !b->value.poisoned()) {
          error<DiagId::not_an_index_pack>(item->range, pack->name.text);
        }
        ok = false;
        continue;
      }
      for (IndexId index : indices->indices) {
        out.push_back({item.get(), makeIndex(index, item->range)});
      }
      continue;
    }
    std::optional<Tensor> t = evalTensor(*item, env);
    if (t && !t->type.isScalar()) {
      error<DiagId::tensor_as_element>(item->range, "a subscript", str(t->type));
      ok = false;
    } else if (t && !isInteger(t->type.dtype)) {
      error<DiagId::subscript_not_integer>(item->range, nameOf(t->type.dtype));
      ok = false;
    } else if (t) {
      out.push_back({item.get(), element(*t, {}, item->range)});
    } else {
      ok = false;
    }
  }
  return ok ? std::optional(std::move(out)) : std::nullopt;
}

Value Instantiator::evalSubscript(const ast::Expr& e, const ast::Subscript& subscript, Env& env) {
  Value base = evalBase(*subscript.base, env);
  if (base.poisoned()) {
    return base;
  }
  if (auto* fn = base.as<FnValue>(); fn && fn->decl->signature.params.empty()) {
    // `zeros[N, 4]`: statics that all have defaults need not be given.
    Value applied = fn->applied ? base : applyStatics(*fn, {}, subscript.base->range);
    auto* closure = applied.as<FnValue>();
    return closure ? fillDims(*closure, e, subscript, env) : Value();
  }
  if (auto* list = base.as<InstanceList>(); list && subscript.items.size() == 1) {
    std::optional<int64_t> at = evalStaticInt(*subscript.items[0], env, "the number of a layer");
    if (!at) {
      return Poison{};
    }
    if (*at < 0 || *at >= static_cast<int64_t>(list->items.size())) {
      error<DiagId::layer_number_out_of_range>(subscript.items[0]->range, *at, list->items.size());
      return Poison{};
    }
    return list->items[static_cast<size_t>(*at)];
  }
  if (auto* part = base.as<InstancePtr>(); part && subscript.items.size() == 1) {
    // net.blocks[0], where `blocks` was made by `repeat` in another body.
    std::optional<int64_t> at = evalStaticInt(*subscript.items[0], env, "the number of a layer");
    return at ? findPart(**part, std::to_string(*at), subscript.items[0]->range, e.range) : Value();
  }
  std::optional<Tensor> t = toTensor(base, subscript.base->range);
  std::optional<std::vector<Item>> items = evalItems(subscript.items, env);
  if (!t || !items) {
    return Poison{};
  }
  if (items->size() != t->type.rank()) {
    reportSubscriptCount(e.range, items->size(), *subscript.base, t->type);
    return Poison{};
  }
  bool ok = true;
  std::vector<ScalarPtr> values;
  for (size_t i = 0; i < items->size(); ++i) {
    const Item& item = (*items)[i];
    const Dim& extent = t->type.dims[i];
    values.push_back(item.value);
    if (auto* index = std::get_if<IndexRef>(&item.value->node)) {
      const FunctionBuilder::IndexOrigin& origin = out_->origin(index->index);
      if (origin.inferred && out_->extent(index->index) != extent && !subscript.fill) {
        error<DiagId::extent_mismatch>(item.source->range, out_->function.indices[index->index].name,
                                       str(out_->extent(index->index)), str(extent), ast::print(*subscript.base), i)
            .note(origin.where, "it gets its range here");
        ok = false;
        continue;
      }
    }
    ok = (subscript.fill || checkSubscript(item.value, *item.source, extent, i, *subscript.base)) && ok;
  }
  if (!ok) {
    return Poison{};
  }
  if (!subscript.fill) {
    return widened(scalar(element(*t, std::move(values), e.range)), e.range);
  }
  std::optional<double> fill = evalStaticNumber(*subscript.fill, env, "a fill value");
  if (!fill) {
    return Poison{};
  }
  if (!t->var) {
    std::set<IndexId> free = freeIndices(t->body);
    for (IndexId own : t->indices) {
      free.erase(own);
    }
    if (!free.empty()) {
      return unsupported(e.range, "a fill value for a tensor that is local to an element");
    }
  }
  VarId var = store(*t, "t", subscript.base->range);
  return widened(scalar(makeScalar(t->type.dtype, e.range, Access{var, std::move(values), fill})), e.range);
}

bool Instantiator::checkSubscript(const ScalarPtr& value, const ast::Expr& item, const Dim& extent, size_t position,
                                  const ast::Expr& base) {
  Interval range = intervalOf(value, *out_);
  std::string text = ast::print(item);
  if (!range.lo || !range.hi) {
    error<DiagId::subscript_unbounded>(item.range, text, position, ast::print(base), str(extent))
        .hint("bound it (`i32[N] < " + str(extent) + "`), or give a fill value: `" + ast::print(base) + "[…; 0]`");
    return false;
  }
  if (provedAtMost(Dim(0), *range.lo, out_->symbols()) && provedAtMost(*range.hi, extent - Dim(1), out_->symbols())) {
    return true;
  }
  std::string lo = str(*range.lo);
  std::string hi = str(*range.hi);
  std::string values = lo == hi ? "is " + lo : "takes values from " + lo + " to " + hi;
  error<DiagId::subscript_out_of_range>(item.range, text, text == lo && text == hi ? "is the subscript" : values,
                                        position, ast::print(base), str(extent))
      .hint("give a fill value for what lies outside: `" + ast::print(base) + "[…; 0]`");
  return false;
}

Value Instantiator::fillDims(const FnValue& fn, const ast::Expr& e, const ast::Subscript& subscript, Env& env) {
  std::optional<std::vector<Dim>> dims = evalDims(subscript.items, env);
  if (!dims) {
    return Poison{};
  }
  std::vector<IndexId> indices = freshIndices(*dims, e.range);
  DrawSite site{indices, callPath(env), 0};
  Env inner = env;
  inner.element = true;
  inner.draws = &site;
  inner.reductions = 0;
  std::optional<Tensor> value = toTensor(callFn(fn, {}, e.range, inner), e.range);
  if (!value) {
    return Poison{};
  }
  if (!value->type.isScalar()) {
    error<DiagId::tensor_as_element>(e.range, "the value at each point", str(value->type));
    return Poison{};
  }
  convertTo(*value, isFloat(value->type.dtype) ? value->type.dtype : DType::F32);
  Tensor out = scalar(element(*value, {}, e.range));
  out.type.dims = *dims;
  out.indices = std::move(indices);
  return out;
}

} // namespace dnn::sema
