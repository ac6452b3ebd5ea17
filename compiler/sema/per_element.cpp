// Whole values in the middle of an element: `grad(y[i], x)[j]` in a let over i and j.
//
//   let J[i, j] = grad(y[i], x)[j]    →    (Js) = scan i: I { l = y[i]   g = grad(l; x)   emit g }
//                                           J[i, j] = Js[i, j]
//
// The statements that compute such a value are collected, and those that belong to an element run once for each value
// of the indices around them that they depend on: in scans without carries, whose steps do not depend on each other.
// The other ones run once.
#include "compiler/sema/ast_walk.h"
#include "compiler/sema/core_functions.h"
#include "compiler/sema/instantiator.h"
#include "compiler/sema/statement_walk.h"

#include <algorithm>

namespace dnn::sema {

namespace {

void collectNames(const ast::Expr& e, std::set<std::string>& names) {
  if (const ast::Name* name = nameOf(e)) {
    names.insert(name->text);
  }
  forEachChild(e, [&](const ast::Expr& child) { collectNames(child, names); });
}

bool draws(const ScalarPtr& s) {
  bool any = std::get_if<Draw>(&s->node) != nullptr;
  forEachChild(*s, [&](const ScalarPtr& child) { any = any || draws(child); });
  return any;
}

/// A value that is an expression of elements, and neither an index nor a number that takes the type of what it meets.
const Tensor* elementOf(const Value& value) {
  auto* t = value.as<Tensor>();
  bool plain = !t || t->var || (t->weak && t->type.isScalar()) || std::get_if<IndexRef>(&t->body->node);
  return plain ? nullptr : t;
}

} // namespace

bool Instantiator::takesGradient(const FnValue& fn) {
  auto [known, inserted] = takesGradient_.try_emplace(fn.decl, false); // a recursion adds nothing
  if (!inserted) {
    return known->second;
  }
  bool takes = false;
  std::function<void(const ast::Expr&)> look = [&](const ast::Expr& e) {
    if (auto* ref = ast::getIf<ast::NameRef>(e)) {
      const Binding* b = fn.scope->find(ref->name.text);
      auto* callee = b ? b->value.as<FnValue>() : nullptr;
      std::optional<CoreFn> core = b ? std::nullopt : findCoreFn(ref->name.text);
      takes = takes || (core && core->kind == CoreFn::Kind::Grad) || (callee && takesGradient(*callee));
    }
    if (auto* scan = ast::getIf<ast::Scan>(e)) {
      forEachExpr(*scan->body, look);
    }
    forEachChild(e, look);
  };
  forEachExpr(fn.decl->body, look);
  return takesGradient_[fn.decl] = takes;
}

Value Instantiator::ofEveryElement(const Value& value, SourceRange range) {
  const Tensor* t = elementOf(value);
  if (!t || !draws(t->body)) {
    return value;
  }
  std::vector<IndexId> outer;
  for (IndexId index : freeIndices(t->body)) {
    if (std::ranges::find(t->indices, index) == t->indices.end()) {
      outer.push_back(index);
    }
  }
  std::vector<IndexId> indices;
  std::vector<ScalarPtr> subscripts;
  std::map<IndexId, ScalarPtr> renamed;
  Tensor whole = *t;
  Tensor read = *t;
  outer.insert(outer.end(), t->indices.begin(), t->indices.end());
  whole.type.dims.clear();
  for (IndexId index : outer) {
    IndexId fresh = out_->addIndex(out_->function.indices[index].name, out_->extent(index), range, false);
    indices.push_back(fresh);
    whole.type.dims.push_back(out_->extent(index));
    renamed[index] = makeIndex(fresh, range);
    subscripts.push_back(makeIndex(index, range));
  }
  whole.indices = indices;
  whole.body = substitute(*out_, t->body, renamed);
  VarId all = store(whole, "draws", range);
  read.body = makeScalar(t->type.dtype, range, Access{all, std::move(subscripts), std::nullopt});
  return read;
}

Value Instantiator::evalPerElement(const ast::Expr& e, Env& env, const std::function<Value(Env&)>& evaluate) {
  std::set<std::string> names;
  collectNames(e, names);
  // And all that draws: a scan in the expression may name it.
  for (const Scope* scope = env.scope.get(); scope != nullptr; scope = scope->parent()) {
    for (const auto& [name, binding] : scope->names()) {
      const Tensor* t = elementOf(binding.value);
      if (t && draws(t->body)) {
        names.insert(name);
      }
    }
  }
  std::vector<Value> used;
  std::vector<const std::string*> bound;
  for (const std::string& name : names) {
    const Binding* b = env.scope->find(name);
    const Tensor* t = b ? elementOf(b->value) : nullptr;
    if (t && t->owner == out_) {
      used.push_back(b->value);
      bound.push_back(&name);
    }
  }
  return perElement(std::move(used), e.range, env, [&](Env& inside, const std::vector<Value>& values) {
    for (size_t i = 0; i < values.size(); ++i) {
      inside.scope->bind(*bound[i], values[i], e.range);
    }
    return evaluate(inside);
  });
}

Value Instantiator::perElement(std::vector<Value> used, SourceRange range, Env& env,
                               const std::function<Value(Env&, const std::vector<Value>&)>& evaluate) {
  for (Value& value : used) {
    value = ofEveryElement(value, range);
  }
  VarId step = out_->addVar("i", TensorType{DType::I32, {}, Dim(1)}); // of the outermost scan, once it is known
  out_->beginScan(step, {});
  Env inside = env;
  inside.scope = std::make_shared<Scope>(env.scope);
  inside.element = false;
  inside.draws = nullptr;
  inside.reductions = 0;
  std::map<const ast::Expr*, Value> bases; // what is known of the let around, but nothing back
  if (env.bases) {
    bases = *env.bases;
  }
  inside.bases = &bases;
  for (Value& value : used) {
    if (const Tensor* t = elementOf(value)) {
      value = variable(store(*t, "e", range));
    }
  }
  Value value = evaluate(inside, used);
  auto* tuple = value.as<TupleValue>();
  std::vector<Value> parts = tuple ? tuple->items : std::vector<Value>{value};
  for (Value& part : parts) {
    if (const Tensor* t = part.as<Tensor>(); t && !(t->weak && t->type.isScalar())) {
      part = variable(store(*t, "e", range));
    }
  }

  // Apart: what belongs to an element.
  std::set<IndexId> indices;
  std::set<VarId> ofElement;
  std::vector<Statement> body;
  for (Statement& stmt : out_->endScan()) {
    std::set<IndexId> free = freeIndices(stmt);
    bool depends = !free.empty();
    forEachUse(stmt, [&](VarId v) { depends = depends || ofElement.contains(v); });
    if (depends) {
      indices.insert(free.begin(), free.end());
      forEachResult(stmt, [&](VarId v) { ofElement.insert(v); });
      body.push_back(std::move(stmt));
    } else {
      rewriteScalars(stmt, [&](const ScalarPtr& s) { return withDrawSteps(*out_, s, step, {}); });
      out_->append(std::move(stmt));
    }
  }
  std::vector<size_t> stacked; // parts that belong to an element
  for (size_t i = 0; i < parts.size(); ++i) {
    auto* t = parts[i].as<Tensor>();
    if (t && t->var && ofElement.contains(*t->var)) {
      stacked.push_back(i);
    }
  }
  if (!stacked.empty()) {
    if (out_->steps().size() + indices.size() > kMaxScans) {
      error<DiagId::scans_too_deep>(range, kMaxScans);
      return Poison{};
    }
    std::vector<VarId> results;
    for (size_t i : stacked) {
      results.push_back(*parts[i].as<Tensor>()->var);
    }
    std::vector<IndexId> order(indices.begin(), indices.end());
    results = scanElements(std::move(body), order, step, std::move(results), range);
    for (size_t i = 0; i < stacked.size(); ++i) {
      parts[stacked[i]] = elementAt(results[i], order, parts[stacked[i]].as<Tensor>()->type, range);
    }
  }
  return tuple ? Value(TupleValue{std::move(parts)}) : parts.front();
}

/// The results, whose values the body computes, for every value of the indices, in their order.
std::vector<VarId> Instantiator::scanElements(std::vector<Statement> body, const std::vector<IndexId>& indices,
                                              VarId first, std::vector<VarId> results, SourceRange range) {
  std::map<IndexId, ScalarPtr> replace;
  std::vector<VarId> steps;
  for (IndexId index : indices) {
    const IndexInfo& info = out_->function.indices[index];
    TensorType type{DType::I32, {}, info.extent};
    if (steps.empty()) {
      out_->function.vars[first] = {info.name, type};
    }
    steps.push_back(steps.empty() ? first : out_->addVar(info.name, type));
    replace[index] = makeScalar(DType::I32, range, Access{steps.back(), {}, std::nullopt});
  }
  for (Statement& stmt : body) {
    rewriteScalars(
        stmt, [&](const ScalarPtr& s) { return withDrawSteps(*out_, substitute(*out_, s, replace), first, steps); });
  }
  for (size_t i = indices.size(); i-- > 0;) {
    Scan node;
    node.step = steps[i];
    node.extent = out_->extent(indices[i]);
    node.body = std::move(body);
    for (VarId& result : results) {
      TensorType type = out_->type(result);
      type.dims.insert(type.dims.begin(), node.extent);
      node.emits.push_back({result, out_->addVar(out_->function.vars[result].name, std::move(type))});
      result = node.emits.back().stacked;
    }
    body.clear();
    Statement& stmt = body.emplace_back();
    stmt.range = range;
    stmt.node = std::move(node);
  }
  for (Statement& stmt : body) {
    out_->append(std::move(stmt));
  }
  return results;
}

/// The value of this type that belongs to the elements, of a tensor of all.
Tensor Instantiator::elementAt(VarId all, const std::vector<IndexId>& outer, const TensorType& type,
                               SourceRange range) {
  Tensor t{type, out_, std::nullopt, freshIndices(type.dims, range), nullptr, false};
  std::vector<ScalarPtr> subscripts;
  for (const auto* indices : {&outer, static_cast<const std::vector<IndexId>*>(&t.indices)}) {
    for (IndexId index : *indices) {
      subscripts.push_back(makeIndex(index, range));
    }
  }
  t.body = makeScalar(type.dtype, range, Access{all, std::move(subscripts), std::nullopt});
  return t;
}

} // namespace dnn::sema
