// What lives as long as the program: layer instances, their parameters and states, optimizer states.
#include "compiler/sema/instantiator.h"

#include <utility>

namespace dnn::sema {

namespace {

/// The first instance without a name, of one or in a list.
const Instance* findUnnamed(const Value& value) {
  if (auto* instance = value.as<InstancePtr>()) {
    return (*instance)->path.empty() ? instance->get() : nullptr;
  }
  if (auto* list = value.as<InstanceList>()) {
    for (const Value& item : list->items) {
      if (const Instance* found = findUnnamed(item)) {
        return found;
      }
    }
  }
  return nullptr;
}

} // namespace

/// Instances that were given to a layer as statics belong to it, under the names of its statics; those of a list under
/// its name and their numbers. `copy`: the instance may be somebody else's too. `storage`: how the owner's parameters
/// are kept.
void Instantiator::assignPath(Value& value, const std::string& path, bool copy, std::optional<DType> storage) {
  if (auto* list = std::get_if<InstanceList>(&value.node)) {
    for (size_t i = 0; i < list->items.size(); ++i) {
      assignPath(list->items[i], path + "." + std::to_string(i), copy, storage);
    }
    lists_[path] = *list;
    return;
  }
  auto* instance = std::get_if<InstancePtr>(&value.node);
  if (!instance || !(*instance)->path.empty()) {
    return;
  }
  if (copy) {
    *instance = std::make_shared<Instance>(**instance);
  }
  (*instance)->path = path;
  if (!(*instance)->storage) {
    (*instance)->storage = storage;
  }
  instances_[path] = *instance;
  for (auto& [name, part] : (*instance)->statics) {
    assignPath(part, path + "." + name, true, (*instance)->storage);
  }
}

Value Instantiator::nameInstances(Value value, const ast::Name& name, Env& env) {
  const Instance* fresh = findUnnamed(value);
  if (!fresh) {
    return value;
  }
  SourceRange made = fresh->made;
  if (env.scan) {
    error<DiagId::instance_in_scan>(made, name.text).hint("make it before the scan: every step uses the same weights");
    return Poison{};
  }
  if (env.frame->kind != Frame::Kind::Layer && out_ != &train_) {
    error<DiagId::instance_outside_layer>(made, name.text);
    return Poison{};
  }
  auto [known, inserted] = env.frame->instances.emplace(name.text, name.range);
  if (!inserted) {
    error<DiagId::duplicate_instance>(name.range, name.text).note(known->second, "the first one is here");
    return Poison{};
  }
  const InstancePtr& owner = env.frame->instance;
  assignPath(value, (owner ? owner->path + "." : "") + name.text, false, owner ? owner->storage : std::nullopt);
  return value;
}

Tensor Instantiator::readPersistent(PersistentId id, SourceRange range) {
  const Persistent& p = program_.persistents[id];
  return variable(out_->read(id, p.path, p.type, range));
}

void Instantiator::runParam(const ast::Stmt& stmt, const ast::Param& param, Env& env) {
  std::optional<TensorType> type = evalType(*param.type, env);
  const DType declared = type ? type->dtype : DType::F32;
  if (declared == DType::F32 && type) {
    type->dtype = env.frame->instance->storage.value_or(declared);
  }
  std::string path = env.frame->instance->path + "." + param.name.text;
  std::optional<PersistentId> id;
  if (Track* track = type ? trackOf(path) : nullptr) {
    env.frame->statement = param.name.text;
    id = declare(plan::Persistent::Kind::Parameter, track->of + path.substr(track->name.size()), *type, stmt.range,
                 *param.init, env);
    if (id) {
      id = declareFollower(*track, path, *id, stmt.range);
    }
  } else if (type) {
    env.frame->statement = param.name.text;
    id = declare(plan::Persistent::Kind::Parameter, path, *type, stmt.range, *param.init, env);
  }
  Value value = Poison{};
  if (id) {
    // The body sees the type that it declares, however the parameter is kept.
    Tensor t = parameterValue(*id, values_.get(), stmt.range);
    storeAs(t, declared, stmt.range);
    value = variable(store(t, param.name.text, stmt.range));
  }
  env.scope->bind(param.name.text, std::move(value), param.name.range);
}

void Instantiator::runState(const ast::Stmt& stmt, const ast::State& state, Env& env) {
  std::optional<TensorType> type = evalType(*state.type, env);
  bool layer = env.frame->kind == Frame::Kind::Layer;
  std::string path = layer ? env.frame->instance->path + "." + state.name.text
                           : env.frame->optimizer + "." + state.name.text + "/" + env.frame->parameter;
  if (Track* track = layer ? trackOf(path) : nullptr) {
    path = track->of + path.substr(track->name.size()); // both have the states of the one that is followed
  }
  std::optional<PersistentId> id;
  if (type) {
    env.frame->statement = state.name.text;
    id = declare(layer ? plan::Persistent::Kind::State : plan::Persistent::Kind::OptimizerState, path, *type,
                 stmt.range, *state.init, env);
  }
  if (id) {
    env.frame->states[state.name.text] = *id;
  }
  env.scope->bind(state.name.text, id ? Value(readPersistent(*id, stmt.range)) : Value(), state.name.range);
}

std::optional<PersistentId> Instantiator::declare(plan::Persistent::Kind kind, const std::string& path,
                                                  const TensorType& type, SourceRange where, const ast::Expr& initial,
                                                  const Env& env) {
  if (auto known = persistentIds_.find(path); known != persistentIds_.end()) {
    const Persistent& p = program_.persistents[known->second];
    if (p.range != where) {
      error<DiagId::duplicate_parameter>(where, path).note(p.range, "the first one is here");
      return std::nullopt;
    }
    if (p.type != type) {
      error<DiagId::parameter_type_changed>(where, path, str(p.type), str(type))
          .hint("an instance has one set of parameters; make another instance for other shapes");
      return std::nullopt;
    }
    return known->second;
  }
  for (const Dim& d : type.dims) {
    if (!d.isStatic()) {
      error<DiagId::symbolic_parameter>(where, path, str(type));
      return std::nullopt;
    }
  }
  auto id = static_cast<PersistentId>(program_.persistents.size());
  program_.persistents.push_back({kind, path, type, where, std::nullopt});
  persistentIds_[path] = id;
  emitInitial(id, initial, env);
  return id;
}

PersistentId Instantiator::declareZero(plan::Persistent::Kind kind, const std::string& path, const TensorType& type,
                                       SourceRange range) {
  auto [known, inserted] = persistentIds_.emplace(path, static_cast<PersistentId>(program_.persistents.size()));
  if (inserted) {
    program_.persistents.push_back({kind, path, type, range, std::nullopt});
    FunctionBuilder* caller = std::exchange(out_, &entries_[0]);
    ScalarPtr zero = isFloat(type.dtype) ? makeNumber(0, type.dtype, range) : makeInteger(0, type.dtype, range);
    out_->update(known->second,
                 out_->emitLet(path.substr(path.rfind('.') + 1), type, freshIndices(type.dims, range), zero, range),
                 range);
    out_ = caller;
  }
  return known->second;
}

void Instantiator::updateWith(PersistentId id, const Value& value, SourceRange range) {
  const TensorType type = program_.persistents[id].type;
  const std::string path = program_.persistents[id].path;
  auto* found = value.as<Tensor>();
  if (!found) {
    if (!value.poisoned()) {
      error<DiagId::not_a_tensor>(range, describe(value));
    }
    return;
  }
  Tensor t = *found;
  if (!storeAs(t, type.dtype, range) || t.type.dims != type.dims) {
    error<DiagId::type_mismatch>(range, "the new value of `" + path + "`", str(type), str(t.type));
    return;
  }
  out_->update(id, store(t, path.substr(path.rfind('.') + 1), range), range);
}

void Instantiator::emitInitial(PersistentId id, const ast::Expr& initial, Env env) {
  const TensorType type = program_.persistents[id].type;
  const std::string path = program_.persistents[id].path;
  std::string name = path.substr(path.rfind('.') + 1);
  FunctionBuilder* caller = out_;
  out_ = &entries_[0];
  Frame frame;
  frame.kind = Frame::Kind::Initial;
  frame.path = path;
  env.frame = &frame;
  env.element = false;
  env.draws = nullptr;
  env.bases = nullptr;
  Value value = eval(initial, env);
  auto* fn = value.as<FnValue>();
  auto* resultType = fn ? std::get_if<ast::TensorType>(&fn->decl->signature.result->node) : nullptr;
  std::optional<VarId> var;
  if (fn && (!fn->applied || !fn->decl->signature.params.empty() || !resultType)) {
    error<DiagId::not_an_initializer>(initial.range, describe(value))
        .hint(fn->applied ? "" : "apply its statics: `" + fn->decl->signature.name.text + "(…)`");
  } else if (fn && !resultType->dims.empty()) {
    static const Statics none;
    Frame call;
    call.path = path;
    Value whole = runBody(fn->decl->signature, fn->decl->body, fn->scope, fn->statics ? *fn->statics : none, {},
                          initial.range, call, env, &type);
    if (auto* made = whole.as<Tensor>()) {
      Tensor t = *made;
      storeAs(t, type.dtype, initial.range); // its type was matched with what is wanted
      var = store(t, name, initial.range);
    }
  } else {
    std::vector<IndexId> indices = freshIndices(type.dims, initial.range);
    DrawSite site{indices, path, 0};
    Env element = env;
    element.element = true;
    element.draws = &site;
    std::optional<Tensor> t = toTensor(forced(value, initial.range, element), initial.range);
    bool fits = t && storeAs(*t, type.dtype, initial.range) && (t->type.isScalar() || t->type.dims == type.dims);
    if (t && !fits) {
      error<DiagId::type_mismatch>(initial.range, "the initial value of `" + path + "`", str(type), str(t->type));
    } else if (t && t->type.isScalar()) {
      Tensor filled = scalar(this->element(*t, {}, initial.range));
      filled.type.dims = type.dims;
      filled.indices = indices;
      var = out_->emitLet(name, type, indices, filled.body, initial.range);
    } else if (t) {
      var = store(*t, name, initial.range);
    }
  }
  if (var) {
    out_->update(id, *var, initial.range);
  }
  out_ = caller;
}

void Instantiator::runUpdate(const ast::Stmt& stmt, const ast::Update& update, Env& env) {
  env.frame->statement = "update " + update.name.text;
  std::optional<Tensor> value = evalTensor(*update.value, env);
  auto known = env.frame->states.find(update.name.text);
  if (known == env.frame->states.end()) {
    const Binding* b = env.scope->find(update.name.text);
    if (!b || !b->value.poisoned()) {
      error<DiagId::not_a_state>(update.name.range, update.name.text);
    }
    return;
  }
  if (!value || (env.frame->instance && trackOf(env.frame->instance->path))) {
    return; // the states of an instance that follows another are that one's
  }
  const TensorType type = program_.persistents[known->second].type;
  if (!storeAs(*value, type.dtype, update.value->range) || value->type.dims != type.dims) {
    error<DiagId::type_mismatch>(update.value->range, "the new value of `" + update.name.text + "`", str(type),
                                 str(value->type));
    return;
  }
  if (out_->inScan()) {
    error<DiagId::update_in_scan>(stmt.range, update.name.text)
        .hint("what passes from step to step of a scan is a carry; update the state with what the scan gives");
    return;
  }
  if (out_->function.kind != plan::Entry::Kind::Step) {
    error<DiagId::update_outside_step>(stmt.range, update.name.text).hint("put it under `when training { … }`");
    return;
  }
  out_->update(known->second, store(*value, update.name.text, stmt.range), stmt.range);
}

} // namespace dnn::sema
