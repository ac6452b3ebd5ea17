// Parameters as values: folds over the parameters of an instance, and an instance with other values for them.
#include "compiler/sema/instantiator.h"

#include <algorithm>

namespace dnn::sema {

std::vector<PersistentId> Instantiator::parametersOf(const std::string& path) const {
  std::vector<PersistentId> out;
  for (PersistentId id = 0; id < program_.persistents.size(); ++id) {
    const Persistent& p = program_.persistents[id];
    if (p.kind == plan::Persistent::Kind::Parameter && (p.path == path || p.path.starts_with(path + "."))) {
      out.push_back(id);
    }
  }
  return out;
}

bool Instantiator::callFailed(const std::string& path) const {
  return std::ranges::any_of(brokenCalls_, [&](const std::string& broken) {
    return broken == path || broken.starts_with(path + ".") || path.starts_with(broken + ".");
  });
}

Tensor Instantiator::parameterValue(PersistentId id, const ParameterValues* values, SourceRange range) {
  if (values) {
    if (auto found = values->find(program_.persistents[id].path); found != values->end()) {
      return found->second;
    }
  }
  return readPersistent(id, range);
}

std::optional<std::string> Instantiator::parameterOwner(const Value& value, const ast::Expr& e,
                                                        std::shared_ptr<const ParameterValues>& values) {
  if (value.poisoned()) {
    return std::nullopt;
  }
  // A list has no path of its own: that of its first named instance, without the number.
  const Value* part = &value;
  size_t lists = 0;
  for (auto* list = part->as<InstanceList>(); list; list = part->as<InstanceList>(), ++lists) {
    auto item = std::find_if(list->items.begin(), list->items.end(),
                             [](const Value& v) { return v.as<InstancePtr>() || v.as<InstanceList>(); });
    if (item == list->items.end()) {
      break;
    }
    part = &*item;
  }
  auto* instance = part->as<InstancePtr>();
  if (!instance) {
    error<DiagId::not_an_instance>(e.range, ast::print(e), describe(value));
    return std::nullopt;
  }
  values = (*instance)->values;
  std::string path = (*instance)->path;
  for (; lists > 0; --lists) {
    path.resize(path.rfind('.'));
  }
  if (parametersOf(path).empty()) {
    if (!callFailed(path)) {
      error<DiagId::no_parameters>(e.range, path).hint("an instance has parameters from its first call on");
    }
    return std::nullopt;
  }
  return path;
}

Value Instantiator::evalFold(const ast::Expr& e, const ast::Fold& fold, Env& env) {
  std::string word(ast::spelling(fold.kind));
  if (env.element) {
    error<DiagId::fold_in_element>(e.range, word).hint("give it a `let` of its own");
    return Poison{};
  }
  std::shared_ptr<const ParameterValues> values;
  std::optional<std::string> path = parameterOwner(eval(*fold.over, env), *fold.over, values);
  if (!path) {
    return Poison{};
  }
  std::optional<Value> out;
  for (PersistentId id : parametersOf(*path)) {
    Env inner = env;
    inner.scope = std::make_shared<Scope>(env.scope);
    inner.scope->bind(fold.parameter.text, parameterValue(id, values.get(), fold.over->range), fold.parameter.range);
    Value value = forced(eval(*fold.body, inner), fold.body->range, inner);
    if (value.poisoned()) {
      return value;
    }
    if (!out) {
      out = bindable(value, word, e.range, env);
      continue;
    }
    auto both = [&](ast::BinaryOp op) {
      return binaryValue(op, *out, value, fold.body->range, fold.body->range, e.range);
    };
    auto applied = [&](ScalarOp op) -> Value {
      std::optional<Tensor> a = toTensor(*out, fold.body->range);
      std::optional<Tensor> b = toTensor(value, fold.body->range);
      return a && b ? applyOp(op, {*a, *b}, {fold.body->range, fold.body->range}, e.range) : Value();
    };
    switch (fold.kind) {
    case ast::ReduceKind::Sum: out = both(ast::BinaryOp::Add); break;
    case ast::ReduceKind::Prod: out = both(ast::BinaryOp::Mul); break;
    case ast::ReduceKind::Any: out = both(ast::BinaryOp::Or); break;
    case ast::ReduceKind::All: out = both(ast::BinaryOp::And); break;
    case ast::ReduceKind::Max: out = applied(ScalarOp::Max); break;
    case ast::ReduceKind::Min: out = applied(ScalarOp::Min); break;
    case ast::ReduceKind::Mean:
    case ast::ReduceKind::ArgMax:
    case ast::ReduceKind::ArgMin: error<DiagId::fold_not_possible>(fold.head, word); return Poison{};
    }
    if (out->poisoned()) {
      return *out;
    }
    out = bindable(*out, word, e.range, env);
  }
  return *out;
}

Value Instantiator::replaced(const Value& value, const std::shared_ptr<const ParameterValues>& values) {
  if (auto* instance = value.as<InstancePtr>()) {
    auto own = std::make_shared<Instance>(**instance);
    own->values = values;
    return own;
  }
  auto* list = value.as<InstanceList>();
  if (!list) {
    return value;
  }
  InstanceList own;
  for (const Value& item : list->items) {
    own.items.push_back(replaced(item, values));
  }
  return own;
}

Value Instantiator::withValues(const ast::Let& let, const Value& base, Env& env) {
  std::shared_ptr<const ParameterValues> before;
  std::optional<std::string> path = parameterOwner(base, *let.value, before);
  if (!path) {
    return Poison{};
  }
  auto values = std::make_shared<ParameterValues>();
  const std::string& name = let.parameter->text;
  for (PersistentId id : parametersOf(*path)) {
    Env inner = env;
    inner.scope = std::make_shared<Scope>(env.scope);
    inner.scope->bind(name, parameterValue(id, before.get(), let.value->range), let.parameter->range);
    std::optional<Tensor> value = evalTensor(*let.each, inner);
    if (!value) {
      return Poison{};
    }
    const Persistent& p = program_.persistents[id];
    if (!convertTo(*value, computedAs(p.type.dtype)) || value->type.dims != p.type.dims) {
      error<DiagId::type_mismatch>(let.each->range, "the value for `" + p.path + "`", str(p.type), str(value->type))
          .note(p.range, "`" + p.path + "` is declared here");
      return Poison{};
    }
    values->emplace(p.path, variable(store(*value, p.path.substr(p.path.rfind('.') + 1), let.each->range)));
  }
  return replaced(base, values);
}

} // namespace dnn::sema
