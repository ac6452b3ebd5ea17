// Expressions: literals, names, members, reductions, and what an expression must be where it stands.
#include "compiler/sema/core_functions.h"
#include "compiler/sema/instantiator.h"
#include "compiler/sema/suggest.h"
#include "compiler/support/assert.h"

#include <charconv>

namespace dnn::sema {

std::string describe(const Value& value) {
  struct Describe {
    std::string operator()(const Poison&) { return "an error"; }
    std::string operator()(const StaticInt&) { return "an integer"; }
    std::string operator()(const StaticFloat&) { return "a number"; }
    std::string operator()(const StaticBool&) { return "a bool"; }
    std::string operator()(const StaticStr&) { return "a string"; }
    std::string operator()(const Tensor&) { return "a tensor"; }
    std::string operator()(const TupleValue& t) { return "a tuple of " + std::to_string(t.items.size()); }
    std::string operator()(const ListValue&) { return "a list"; }
    std::string operator()(const FnValue& f) { return "the fn `" + f.decl->signature.name.text + "`"; }
    std::string operator()(const ConstantSchedule&) { return "a schedule"; }
    std::string operator()(const ScheduleFn&) { return "a schedule"; }
    std::string operator()(const CoreFn&) { return "a function"; }
    std::string operator()(const LayerDef& l) { return "the layer `" + l.decl->signature.name.text + "`"; }
    std::string operator()(const InstancePtr& i) {
      return i->layer.decl ? "an instance of `" + i->layer.decl->signature.name.text + "`" : "a part of an instance";
    }
    std::string operator()(const Recomputed&) { return "a recomputed function"; }
    std::string operator()(const InstanceList&) { return "a list of layer instances"; }
    std::string operator()(const OptimizerDef& o) { return "the optimizer `" + o.decl->signature.name.text + "`"; }
    std::string operator()(const OptimizerPtr&) { return "an optimizer"; }
    std::string operator()(const DimPack&) { return "a pack of dimensions"; }
    std::string operator()(const IndexPack&) { return "a pack of indices"; }
    std::string operator()(const ConstRef&) { return "a constant"; }
    std::string operator()(const SourceRef&) { return "a data source"; }
    std::string operator()(const SourceField&) { return "a field of a data source"; }
  };
  return std::visit(Describe{}, value.node);
}

std::optional<std::string> shortText(const Value& value) {
  auto number = [](double x) {
    char buffer[32];
    return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, x).ptr);
  };
  if (auto* n = value.as<StaticInt>(); n && n->value.isStatic()) {
    return std::to_string(n->value.constant());
  }
  if (auto* n = value.as<StaticFloat>()) {
    return number(n->value);
  }
  if (auto* n = value.as<ConstantSchedule>()) {
    return number(n->value);
  }
  if (auto* b = value.as<StaticBool>()) {
    return b->value ? "true" : "false";
  }
  if (auto* f = value.as<FnValue>()) {
    return f->decl->signature.name.text;
  }
  return std::nullopt;
}

Poison Instantiator::unsupported(SourceRange range, std::string_view what) {
  error<DiagId::not_supported_yet>(range, what);
  return {};
}

Value Instantiator::eval(const ast::Expr& e, Env& env) {
  if (tooDeep_) {
    return Poison{};
  }
  if (evalDepth_ == kMaxEvalDepth) {
    error<DiagId::instantiation_too_deep>(e.range);
    tooDeep_ = true;
    return Poison{};
  }
  struct Level {
    int& depth;
    explicit Level(int& depth) : depth(depth) { ++depth; }
    ~Level() { --depth; }
  } level(evalDepth_);
  struct Visit {
    Instantiator& self;
    const ast::Expr& e;
    Env& env;
    Value operator()(const ast::IntLiteral& n) { return StaticInt{Dim(n.value)}; }
    Value operator()(const ast::FloatLiteral& n) { return StaticFloat{n.value}; }
    Value operator()(const ast::BoolLiteral& n) { return StaticBool{n.value}; }
    Value operator()(const ast::StringLiteral& n) { return StaticStr{n.value}; }
    Value operator()(const ast::NameRef& n) { return self.evalName(n.name, env); }
    Value operator()(const ast::PackRef& n) {
      self.error<DiagId::misplaced_pack>(e.range, n.name.text);
      return Poison{};
    }
    Value operator()(const ast::Member& n) { return self.evalMember(e, n, env); }
    Value operator()(const ast::Call& n) { return self.evalCall(e, n, env); }
    Value operator()(const ast::Subscript& n) { return self.evalSubscript(e, n, env); }
    Value operator()(const ast::Unary& n) { return self.evalUnary(e, n, env); }
    Value operator()(const ast::Binary& n) { return self.evalBinary(e, n, env); }
    Value operator()(const ast::If& n) { return self.evalIf(e, n, env); }
    Value operator()(const ast::Reduce& n) { return self.evalReduce(e, n, env); }
    Value operator()(const ast::Fold& n) { return self.evalFold(e, n, env); }
    Value operator()(const ast::Scan& n) { return self.evalScan(e, n, env, nullptr); }
    Value operator()(const ast::List& n) {
      ListValue list;
      for (const ast::ExprPtr& item : n.items) {
        list.items.push_back(self.eval(*item, env));
      }
      return list;
    }
    Value operator()(const ast::Tuple& n) {
      TupleValue tuple;
      for (const ast::ExprPtr& item : n.items) {
        tuple.items.push_back(self.forced(self.eval(*item, env), item->range, env));
      }
      return tuple;
    }
    Value operator()(const ast::Range&) {
      self.error<DiagId::misplaced_range>(e.range);
      return Poison{};
    }
  };
  return std::visit(Visit{*this, e, env}, e.node);
}

Value Instantiator::evalName(const ast::Name& name, Env& env) {
  const Binding* binding = env.scope->find(name.text);
  if (!binding) {
    if (name.text == "training") {
      return StaticBool{training_};
    }
    if (std::optional<CoreFn> core = findCoreFn(name.text)) {
      return *core;
    }
    // Names that are nowhere were reported before; this one belongs to a branch that was not taken.
    error<DiagId::unknown_name>(name.range, name.text);
    return Poison{};
  }
  if (auto* tensor = binding->value.as<Tensor>(); tensor && tensor->owner != out_) {
    error<DiagId::value_out_of_reach>(name.range, name.text).note(binding->where, "`" + name.text + "` is bound here");
    return Poison{};
  }
  if (auto* ref = binding->value.as<ConstRef>()) {
    if (auto known = constants_.find(ref->decl); known != constants_.end()) {
      return known->second;
    }
    if (!openConstants_.insert(ref->decl).second) {
      error<DiagId::cyclic_constant>(name.range, name.text);
      return Poison{};
    }
    Frame frame;
    Env inner;
    inner.scope = ScopePtr(std::shared_ptr<void>(), ref->scope); // not owned: the file's scope outlives all of this
    inner.frame = &frame;
    const ast::ConstDecl* decl = ref->decl;
    Value value = eval(*decl->value, inner);
    if (value.as<Tensor>() || value.as<SourceRef>()) {
      error<DiagId::not_static>(decl->value->range, "a constant", describe(value));
      value = Poison{};
    }
    openConstants_.erase(decl);
    return constants_[decl] = value;
  }
  return binding->value;
}

Value Instantiator::evalMember(const ast::Expr& e, const ast::Member& member, Env& env) {
  Value base = eval(*member.base, env);
  if (base.poisoned()) {
    return base;
  }
  if (auto* instance = base.as<InstancePtr>()) {
    return findPart(**instance, member.name.text, member.name.range, e.range);
  }
  if (auto* source = base.as<SourceRef>()) {
    return sourceMember(*source, member);
  }
  if (auto* field = base.as<SourceField>()) {
    return fieldMember(*field, member, e.range, env);
  }
  error<DiagId::no_members>(member.name.range, describe(base), member.name.text);
  return Poison{};
}

Value Instantiator::findPart(const Instance& instance, const std::string& part, SourceRange partRange,
                             SourceRange range) {
  // net.fc1.w is a parameter; anything shorter is only a step on the way to one.
  const std::string& base = instance.path;
  std::string path = base + "." + part;
  if (auto found = persistentIds_.find(path); found != persistentIds_.end()) {
    return parameterValue(found->second, instance.values.get(), range);
  }
  if (auto known = instances_.find(path); known != instances_.end()) {
    return instance.values ? replaced(known->second, instance.values) : known->second;
  }
  if (auto known = lists_.find(path); known != lists_.end()) {
    return instance.values ? replaced(known->second, instance.values) : known->second;
  }
  std::vector<std::string> parts;
  bool prefix = false;
  for (auto& [known, id] : persistentIds_) {
    prefix |= known.starts_with(path + ".");
    if (known.starts_with(base + ".")) {
      std::string rest = known.substr(base.size() + 1);
      parts.push_back(rest.substr(0, rest.find('.')));
    }
  }
  if (prefix) {
    return std::make_shared<Instance>(Instance{{}, {}, range, path, instance.values, {}});
  }
  if (parts.empty() && diags_.hasErrors()) {
    return Poison{}; // the first call may be what failed
  }
  error<DiagId::unknown_parameter>(partRange, path)
      .hint(parts.empty() ? "an instance has parameters from its first call on" : didYouMean(part, parts));
  return Poison{};
}

Value Instantiator::evalReduce(const ast::Expr& e, const ast::Reduce& reduce, Env& env) {
  std::map<const ast::Expr*, Value> bases;
  Env inner = env;
  inner.scope = std::make_shared<Scope>(env.scope);
  inner.element = true;
  inner.reductions = env.reductions + 1;
  if (!inner.bases) {
    inner.bases = &bases;
  }
  std::vector<const ast::Expr*> bodies = {reduce.body.get()};
  if (reduce.guard) {
    bodies.push_back(reduce.guard.get());
  }
  Reduce node;
  if (!bindIndices(reduce.indices, bodies, inner, node.indices)) {
    return Poison{};
  }
  std::string word(ast::spelling(reduce.kind));
  if (reduce.guard) {
    Value guard = eval(*reduce.guard, inner);
    if (auto* known = guard.as<StaticBool>()) {
      node.guard = makeBool(known->value, reduce.guard->range);
    } else if (auto* t = guard.as<Tensor>(); t && t->type.isScalar() && t->type.dtype == DType::Bool) {
      node.guard = element(*t, {}, reduce.guard->range);
    } else {
      if (!guard.poisoned()) {
        error<DiagId::not_a_condition>(reduce.guard->range, "a guard", describe(guard));
      }
      return Poison{};
    }
  }
  std::optional<Tensor> body = evalTensor(*reduce.body, inner);
  if (!body) {
    return Poison{};
  }
  if (!body->type.isScalar()) {
    error<DiagId::tensor_as_element>(reduce.body->range, "`" + word + "`", str(body->type));
    return Poison{};
  }
  bool logical = reduce.kind == ast::ReduceKind::Any || reduce.kind == ast::ReduceKind::All;
  if (body->weak && reduce.kind == ast::ReduceKind::Mean) {
    convertTo(*body, DType::F32);
  }
  body = widened(*body, reduce.body->range);
  DType type = body->type.dtype;
  if (logical != (type == DType::Bool) || (reduce.kind == ast::ReduceKind::Mean && !isFloat(type))) {
    std::string_view wanted = logical ? "bool" : reduce.kind == ast::ReduceKind::Mean ? "float" : "numeric";
    auto report = error<DiagId::wrong_element_type>(reduce.body->range, "`" + word + "`", wanted, nameOf(type));
    if (logical) {
      report.hint("a reducer takes what follows up to the first `+` or `>`; write `" + word + "[…] (a > b)`");
    }
    return Poison{};
  }
  switch (reduce.kind) {
  case ast::ReduceKind::Sum: node.kind = Reduce::Kind::Sum; break;
  case ast::ReduceKind::Prod: node.kind = Reduce::Kind::Prod; break;
  case ast::ReduceKind::Max: node.kind = Reduce::Kind::Max; break;
  case ast::ReduceKind::Min: node.kind = Reduce::Kind::Min; break;
  case ast::ReduceKind::Mean: node.kind = Reduce::Kind::Mean; break;
  case ast::ReduceKind::ArgMax: node.kind = Reduce::Kind::ArgMax; break;
  case ast::ReduceKind::ArgMin: node.kind = Reduce::Kind::ArgMin; break;
  case ast::ReduceKind::Any: node.kind = Reduce::Kind::Any; break;
  case ast::ReduceKind::All: node.kind = Reduce::Kind::All; break;
  }
  bool position = reduce.kind == ast::ReduceKind::ArgMax || reduce.kind == ast::ReduceKind::ArgMin;
  node.body = element(*body, {}, reduce.body->range);
  return scalar(makeScalar(position ? DType::I32 : type, e.range, std::move(node)));
}

Value Instantiator::forced(Value value, SourceRange range, Env& env) {
  auto* fn = value.as<FnValue>();
  if (!fn || !fn->applied || !fn->decl->signature.params.empty()) {
    return value;
  }
  return callFn(*fn, {}, range, env);
}

std::optional<Tensor> Instantiator::toTensor(const Value& value, SourceRange range) {
  if (auto* t = value.as<Tensor>()) {
    return *t;
  }
  if (auto* n = value.as<StaticInt>()) {
    bool small = n->value.isStatic() && n->value.constant() >= INT32_MIN && n->value.constant() <= INT32_MAX;
    Tensor t = scalar(n->value.isStatic() ? makeInteger(n->value.constant(), small ? DType::I32 : DType::I64, range)
                                          : makeExtent(n->value, range));
    t.weak = n->value.isStatic();
    return t;
  }
  if (auto* n = value.as<StaticFloat>()) {
    Tensor t = scalar(makeNumber(n->value, DType::F32, range));
    t.weak = true;
    return t;
  }
  if (auto* b = value.as<StaticBool>()) {
    return scalar(makeBool(b->value, range));
  }
  if (!value.poisoned()) {
    auto report = error<DiagId::not_a_tensor>(range, describe(value));
    if (auto* fn = value.as<FnValue>()) {
      const ast::Signature& signature = fn->decl->signature;
      report.hint(!fn->applied ? "apply its statics: `" + signature.name.text + "(…)`" : "call it");
    } else if (value.as<InstancePtr>()) {
      report.hint("call it");
    }
  }
  return std::nullopt;
}

std::optional<Tensor> Instantiator::evalTensor(const ast::Expr& e, Env& env) {
  return toTensor(forced(eval(e, env), e.range, env), e.range);
}

std::optional<Dim> Instantiator::evalDim(const ast::Expr& e, Env& env) {
  Value value = eval(e, env);
  if (auto* n = value.as<StaticInt>()) {
    return n->value;
  }
  if (!value.poisoned()) {
    error<DiagId::not_static>(e.range, "an extent", describe(value));
  }
  return std::nullopt;
}

std::optional<int64_t> Instantiator::evalStaticInt(const ast::Expr& e, Env& env, const char* what) {
  Value value = eval(e, env);
  if (auto* n = value.as<StaticInt>(); n && n->value.isStatic()) {
    return n->value.constant();
  }
  if (!value.poisoned()) {
    error<DiagId::wrong_static_kind>(e.range, what, "an integer", describe(value));
  }
  return std::nullopt;
}

std::optional<double> Instantiator::evalStaticNumber(const ast::Expr& e, Env& env, const char* what) {
  Value value = eval(e, env);
  if (auto* n = value.as<StaticInt>(); n && n->value.isStatic()) {
    return static_cast<double>(n->value.constant());
  }
  if (auto* n = value.as<StaticFloat>()) {
    return n->value;
  }
  if (!value.poisoned()) {
    error<DiagId::wrong_static_kind>(e.range, what, "a number", describe(value));
  }
  return std::nullopt;
}

std::optional<bool> Instantiator::evalStaticBool(const ast::Expr& e, Env& env, const char* what) {
  Value value = eval(e, env);
  if (auto* b = value.as<StaticBool>()) {
    return b->value;
  }
  if (!value.poisoned()) {
    error<DiagId::wrong_static_kind>(e.range, what, "a static bool", describe(value));
  }
  return std::nullopt;
}

std::optional<std::string> Instantiator::evalString(const ast::Expr& e, Env& env, const char* what) {
  Value value = eval(e, env);
  if (auto* s = value.as<StaticStr>()) {
    return s->value;
  }
  if (!value.poisoned()) {
    error<DiagId::wrong_static_kind>(e.range, what, "a string", describe(value));
  }
  return std::nullopt;
}

} // namespace dnn::sema
