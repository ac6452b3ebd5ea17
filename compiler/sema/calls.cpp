// Calls: statics are bound, types are matched, the body runs in place.
#include "compiler/sema/ast_walk.h"
#include "compiler/sema/instantiator.h"
#include "compiler/sema/static_names.h"
#include "compiler/sema/suggest.h"

#include <algorithm>

namespace dnn::sema {

namespace {

/// "Dense(out = 10, bias = true)": with the statics that a message can show.
std::string callText(const ast::Signature& signature, const Statics& statics) {
  std::string text;
  for (const ast::StaticDecl& decl : signature.statics) {
    auto it = statics.find(decl.name.text);
    std::optional<std::string> shown = it == statics.end() ? std::nullopt : shortText(it->second);
    if (shown) {
      text += (text.empty() ? "" : ", ") + decl.name.text + " = " + *shown;
    }
  }
  return "in the call of `" + signature.name.text + (signature.hasStatics ? "(" + text + ")" : "") + "`";
}

} // namespace

bool Instantiator::mentionsWholeTensor(const ast::Expr& e, const Env& env) const {
  if (const ast::Name* name = nameOf(e)) {
    const Binding* b = env.scope->find(name->text);
    auto* t = b ? b->value.as<Tensor>() : nullptr;
    return t && !t->type.isScalar();
  }
  bool mentions = false;
  forEachChild(e, [&](const ast::Expr& child) { mentions = mentions || mentionsWholeTensor(child, env); });
  return mentions;
}

std::string Instantiator::callPath(Env& env) {
  // By the name that is being defined and the number of the call in its definition, not by the name of what is called:
  // a library under other names draws the same numbers.
  int ordinal = env.frame->ordinals[env.frame->statement]++;
  return env.frame->path + "/" + env.frame->statement + "." + std::to_string(ordinal);
}

Value Instantiator::evalCall(const ast::Expr& e, const ast::Call& call, Env& env) {
  if (env.element && mentionsWholeTensor(e, env) && !dependsOnElements(e, env)) {
    // `mean(x)` inside a let is one number: computed once, before the let.
    Env outside = env;
    outside.element = false;
    outside.draws = nullptr;
    outside.reductions = 0;
    Value value = evalCall(e, call, outside);
    return bindable(value, "t", e.range, outside);
  }
  Value callee = eval(*call.callee, env);
  if (callee.poisoned()) {
    evalArgs(call, env); // for the errors inside
    return callee;
  }
  if (auto* core = callee.as<CoreFn>()) {
    return callCore(*core, e, call, env);
  }
  std::optional<std::vector<Argument>> args = evalArgs(call, env);
  Value value = args ? callValue(callee, std::move(*args), call.callee->range, e.range, env) : Poison{};
  if (value.poisoned()) {
    noteBrokenCall(callee);
  }
  return value;
}

void Instantiator::noteBrokenCall(const Value& callee) {
  if (auto* instance = callee.as<InstancePtr>()) {
    brokenCalls_.insert((*instance)->path);
  } else if (auto* list = callee.as<InstanceList>()) {
    for (const Value& item : list->items) {
      noteBrokenCall(item);
    }
  }
}

Value Instantiator::callValue(const Value& callee, std::vector<Argument> args, SourceRange calleeRange,
                              SourceRange range, Env& env) {
  if (auto* fn = callee.as<FnValue>()) {
    std::set<std::string> statics = staticNames(fn->decl->signature);
    bool again = !args.empty() && std::all_of(args.begin(), args.end(), [&](const Argument& a) {
      return a.name && statics.contains(a.name->text);
    });
    if (!fn->applied || again) {
      return applyStatics(*fn, args, range);
    }
    return callFn(*fn, std::move(args), range, env);
  }
  if (auto* constant = callee.as<ConstantSchedule>()) {
    return StaticFloat{constant->value};
  }
  if (auto* schedule = callee.as<ScheduleFn>()) {
    return callSchedule(schedule->fn, std::move(args), range, env);
  }
  if (auto* layer = callee.as<LayerDef>()) {
    std::optional<Statics> statics = bindStatics(layer->decl->signature, layer->scope, {}, args, range);
    if (!statics) {
      return Poison{};
    }
    return std::make_shared<Instance>(Instance{*layer, std::move(*statics), range, "", nullptr, {}});
  }
  if (auto* instance = callee.as<InstancePtr>(); instance && (*instance)->layer.decl) {
    return callLayer(*instance, std::move(args), range, env);
  }
  if (auto* list = callee.as<InstanceList>()) {
    for (const Value& item : list->items) {
      Value value = callValue(item, std::move(args), calleeRange, range, env);
      if (value.poisoned()) {
        return value;
      }
      args = std::vector<Argument>{{nullptr, bindable(value, "t", range, env), range}};
    }
    return args.empty() ? Value() : args.front().value;
  }
  if (auto* again = callee.as<Recomputed>()) {
    return recomputed(*again->callee, std::move(args), calleeRange, range, env);
  }
  if (auto* core = callee.as<CoreFn>(); core && core->kind == CoreFn::Kind::Scalar && args.size() == 1) {
    std::optional<Tensor> t = toTensor(args[0].value, args[0].range);
    return t ? applyOp(core->op, {*t}, {args[0].range}, range) : Value();
  }
  if (auto* core = callee.as<CoreFn>(); core && core->kind == CoreFn::Kind::Cast && args.size() == 1) {
    std::optional<Tensor> t = toTensor(args[0].value, args[0].range);
    return t ? callCast(core->dtype, *t, args[0].range, range) : Value();
  }
  if (auto* optimizer = callee.as<OptimizerDef>()) {
    std::optional<Statics> statics = bindStatics(optimizer->decl->signature, optimizer->scope, {}, args, range);
    if (!statics) {
      return Poison{};
    }
    return OptimizerPtr(std::make_shared<OptimizerUse>(OptimizerUse{*optimizer, std::move(*statics), "", range}));
  }
  error<DiagId::not_callable>(calleeRange, describe(callee));
  return Poison{};
}

std::optional<std::vector<Instantiator::Argument>> Instantiator::evalArgs(const ast::Call& call, Env& env) {
  std::vector<Argument> args;
  bool ok = true;
  for (const ast::Arg& arg : call.args) {
    Value value = eval(*arg.value, env);
    ok &= !value.poisoned();
    args.push_back({arg.name ? &*arg.name : nullptr, std::move(value), arg.value->range});
  }
  return ok ? std::optional(std::move(args)) : std::nullopt;
}

std::optional<std::vector<Instantiator::Argument>>
Instantiator::orderArgs(const ast::Signature& signature, std::vector<Argument> args, SourceRange range) {
  std::vector<std::optional<Argument>> slots(signature.params.size());
  bool ok = true;
  size_t position = 0;
  for (Argument& arg : args) {
    size_t at = slots.size();
    if (arg.name) {
      std::vector<std::string> names;
      for (size_t i = 0; i < slots.size(); ++i) {
        names.push_back(signature.params[i].name.text);
        at = names.back() == arg.name->text ? i : at;
      }
      if (at == slots.size()) {
        error<DiagId::unknown_argument>(arg.name->range, signature.name.text, arg.name->text)
            .hint(didYouMean(arg.name->text, names));
        ok = false;
        continue;
      }
    } else {
      at = position++;
      if (at >= slots.size()) {
        error<DiagId::too_many_arguments>(arg.range, signature.name.text, counted(slots.size(), "argument"));
        ok = false;
        continue;
      }
    }
    if (slots[at]) {
      error<DiagId::duplicate_argument>(arg.range, signature.params[at].name.text);
      ok = false;
      continue;
    }
    slots[at] = std::move(arg);
  }
  std::vector<Argument> out;
  for (size_t i = 0; ok && i < slots.size(); ++i) {
    if (!slots[i]) {
      error<DiagId::missing_argument>(range, signature.name.text, signature.params[i].name.text)
          .note(signature.params[i].name.range, "it is declared here");
      return std::nullopt;
    }
    out.push_back(std::move(*slots[i]));
  }
  return ok ? std::optional(std::move(out)) : std::nullopt;
}

Value Instantiator::callFn(const FnValue& fn, std::vector<Argument> args, SourceRange range, Env& env) {
  const ast::Signature& signature = fn.decl->signature;
  std::optional<std::vector<Argument>> ordered = orderArgs(signature, std::move(args), range);
  if (!ordered) {
    return Poison{};
  }
  bool scalarParams = true;
  bool tensors = false;
  for (size_t i = 0; i < ordered->size(); ++i) {
    Argument& arg = (*ordered)[i];
    arg.value = forced(arg.value, arg.range, env);
    if (arg.value.poisoned()) {
      return Poison{};
    }
    scalarParams &= isScalarType(*signature.params[i].type);
    auto* t = arg.value.as<Tensor>();
    tensors |= t && !t->type.isScalar();
  }
  if (fn.decl->vjp) {
    return callWithRule(fn, std::move(*ordered), range, env);
  }
  if (scalarParams && tensors) {
    return lift(fn, std::move(*ordered), range, env);
  }
  if (env.element && takesGradient(fn)) {
    // With its parameters as variables, so that the gradient may be one with respect to them.
    std::vector<Value> used;
    for (const Argument& arg : *ordered) {
      used.push_back(arg.value);
    }
    return perElement(std::move(used), range, env, [&](Env& inside, const std::vector<Value>& values) {
      for (size_t i = 0; i < values.size(); ++i) {
        (*ordered)[i].value = values[i];
      }
      return callFn(fn, std::move(*ordered), range, inside);
    });
  }
  Frame frame;
  frame.kind = Frame::Kind::Fn;
  frame.path = callPath(env);
  static const Statics none;
  return runBody(signature, fn.decl->body, fn.scope, fn.statics ? *fn.statics : none, std::move(*ordered), range, frame,
                 env);
}

Value Instantiator::callSchedule(const FnValue& fn, std::vector<Argument> args, SourceRange range, Env& env) {
  if (args.size() != 1 || args[0].name) {
    error<DiagId::wrong_argument_count>(range, fn.decl->signature.name.text, "1 argument", args.size());
    return Poison{};
  }
  args.push_back({nullptr, epochNumber(range), range});
  if (fn.decl->signature.params.size() > 2) {
    args.push_back({nullptr, plateauCount(range), range});
  }
  return callFn(fn, std::move(args), range, env);
}

Tensor Instantiator::epochNumber(SourceRange range) {
  VarId epoch = out_->addVar("epoch", TensorType{DType::I32, {}, std::nullopt});
  out_->emitOutside(range, ReadEnv{epoch, ReadEnv::What::Epoch});
  return variable(epoch);
}

Value Instantiator::lift(const FnValue& fn, std::vector<Argument> args, SourceRange range, Env& env) {
  const ast::Signature& signature = fn.decl->signature;
  const Tensor* shaped = nullptr;
  SourceRange shapedRange;
  std::vector<Tensor> stored(args.size());
  for (size_t i = 0; i < args.size(); ++i) {
    auto* t = args[i].value.as<Tensor>();
    if (!t || t->type.isScalar()) {
      continue;
    }
    // A variable: the body may use its argument many times.
    stored[i] = env.element ? *t : variable(store(*t, signature.params[i].name.text, args[i].range));
    if (!shaped) {
      shaped = &stored[i];
      shapedRange = args[i].range;
    } else if (shaped->type.dims != stored[i].type.dims) {
      error<DiagId::shape_mismatch>(range, "`" + signature.name.text + "`", str(shaped->type), str(stored[i].type))
          .note(shapedRange, "this is " + str(shaped->type))
          .note(args[i].range, "this is " + str(stored[i].type));
      return Poison{};
    }
  }
  std::vector<IndexId> indices = freshIndices(shaped->type.dims, range);
  std::vector<ScalarPtr> subscripts;
  for (IndexId index : indices) {
    subscripts.push_back(makeIndex(index, range));
  }
  std::vector<Dim> dims = shaped->type.dims;
  for (size_t i = 0; i < args.size(); ++i) {
    if (stored[i].type.rank() != 0) {
      args[i].value = scalar(element(stored[i], subscripts, args[i].range));
    }
  }
  Env inner = env;
  inner.element = true;
  inner.draws = nullptr;
  Value value = callFn(fn, std::move(args), range, inner);
  auto whole = [&](const Value& part) -> Value {
    std::optional<Tensor> t = toTensor(part, range);
    if (!t) {
      return Poison{};
    }
    std::vector<IndexId> own = freshIndices(dims, range);
    std::map<IndexId, ScalarPtr> renamed;
    for (size_t i = 0; i < own.size(); ++i) {
      renamed[indices[i]] = makeIndex(own[i], range);
    }
    Tensor out = scalar(substitute(*out_, element(*t, {}, range), renamed));
    out.type.dims = dims;
    out.indices = own;
    return out;
  };
  if (auto* tuple = value.as<TupleValue>()) {
    TupleValue out;
    for (const Value& item : tuple->items) {
      out.items.push_back(whole(item));
    }
    return out;
  }
  return whole(value);
}

Value Instantiator::callLayer(const InstancePtr& instance, std::vector<Argument> args, SourceRange range, Env& env) {
  const ast::Signature& signature = instance->layer.decl->signature;
  if (instance->path.empty()) {
    error<DiagId::unnamed_instance>(range, signature.name.text)
        .hint("name it, so that its parameters have a name: `let l = " + signature.name.text + "(…)`");
    // As if it had one, so that the others of its kind are told in the same run.
    auto named = std::make_shared<Instance>(*instance);
    named->path = "?" + std::to_string(calls_);
    if (env.frame->instance) {
      noteBrokenCall(env.frame->instance);
    }
    return callLayer(named, std::move(args), range, env);
  }
  if (env.element) {
    error<DiagId::layer_in_element>(range, signature.name.text);
    return Poison{};
  }
  std::optional<std::vector<Argument>> ordered = orderArgs(signature, std::move(args), range);
  if (!ordered) {
    return Poison{};
  }
  for (Argument& arg : *ordered) {
    arg.value = forced(arg.value, arg.range, env);
  }
  Frame frame;
  frame.kind = Frame::Kind::Layer;
  frame.path = callPath(env);
  frame.instance = instance;
  std::shared_ptr<const ParameterValues> around = values_;
  values_ = instance->values ? instance->values : around;
  Value result = runBody(signature, instance->layer.decl->body, instance->layer.scope, instance->statics,
                         std::move(*ordered), range, frame, env);
  values_ = std::move(around);
  return result;
}

Value Instantiator::runBody(const ast::Signature& signature, const ast::Block& body, const ScopePtr& scope,
                            const Statics& statics, std::vector<Argument> args, SourceRange range, Frame& frame,
                            const Env& caller, const TensorType* expected) {
  if (depth_ == kMaxDepth) {
    error<DiagId::instantiation_too_deep>(range);
    tooDeep_ = true;
    return Poison{};
  }
  if (++calls_ > kMaxCalls) {
    error<DiagId::too_many_calls>(range, kMaxCalls);
    tooDeep_ = true;
    return Poison{};
  }
  struct Level {
    int& depth;
    explicit Level(int& depth) : depth(depth) { ++depth; }
    ~Level() { --depth; }
  } level(depth_);

  Env env;
  env.scope = std::make_shared<Scope>(scope);
  env.frame = &frame;
  env.element = caller.element;
  env.draws = caller.draws;
  env.reductions = caller.reductions;
  for (const ast::StaticDecl& decl : signature.statics) {
    env.scope->bind(decl.name.text, statics.at(decl.name.text), decl.name.range);
  }
  std::set<std::string> fixed = staticNames(signature);
  auto* resultType = std::get_if<ast::TensorType>(&signature.result->node);
  if (expected && resultType && !resultType->dims.empty()) {
    Tensor wanted{*expected, out_, VarId{0}, {}, nullptr, false};
    if (!matchTensor(*resultType, signature.result->range, wanted, range, env, fixed,
                     "the result of `" + signature.name.text + "`")) {
      return Poison{};
    }
  }
  ScopePtr dimensions = env.scope;
  ScopePtr inner = std::make_shared<Scope>(dimensions);
  bool ok = true;
  for (size_t i = 0; i < args.size(); ++i) {
    const ast::ParamDecl& param = signature.params[i];
    if (!matchType(*param.type, args[i].value, args[i].range, env, fixed,
                   "argument `" + param.name.text + "` of `" + signature.name.text + "`")) {
      ok = false;
      continue;
    }
    inner->bind(param.name.text, bindable(args[i].value, param.name.text, args[i].range, env), args[i].range);
  }
  if (!ok) {
    return Poison{};
  }
  // The outer calls tell the way; a recursion, each call of which stands in the one before, would fill pages.
  constexpr int kTraced = 16;
  std::optional<diag::Diagnostics::TraceScope> trace;
  bool again = std::ranges::find(openCalls_, range) != openCalls_.end();
  if (depth_ <= kTraced && !again) {
    trace.emplace(diags_, range, callText(signature, statics));
  }
  openCalls_.push_back(range);
  struct Closed {
    std::vector<SourceRange>& calls;
    ~Closed() { calls.pop_back(); }
  } closed{openCalls_};
  if (!bindWheres(signature, env)) {
    return Poison{};
  }
  env.scope = inner;
  std::optional<Value> result = runBlock(body, env);
  if (tooDeep_) {
    return Poison{};
  }
  if (!result && frame.failed) {
    return Poison{};
  }
  if (!result) {
    error<DiagId::missing_return>(signature.name.range, signature.name.text);
    return Poison{};
  }
  SourceRange at = returnRange_.valid() ? returnRange_ : signature.result->range;
  Env types = env;
  types.scope = dimensions;
  if (!matchType(*signature.result, *result, at, types, fixed, "the result of `" + signature.name.text + "`")) {
    return Poison{};
  }
  return *result;
}

} // namespace dnn::sema
