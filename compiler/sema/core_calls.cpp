// Calls of the functions that are in the language itself.
#include "compiler/sema/instantiator.h"
#include "compiler/sema/suggest.h"

#include <algorithm>
#include <cmath>

namespace dnn::sema {

namespace {

/// Instances of their own like those of the value; none if one has a name, so that there can be no other like it.
std::optional<Value> copyUnnamed(const Value& value) {
  if (auto* instance = value.as<InstancePtr>()) {
    return (*instance)->path.empty() ? std::optional<Value>(std::make_shared<Instance>(**instance)) : std::nullopt;
  }
  auto* list = value.as<InstanceList>();
  if (!list) {
    return value;
  }
  InstanceList copy;
  for (const Value& item : list->items) {
    std::optional<Value> own = copyUnnamed(item);
    if (!own) {
      return std::nullopt;
    }
    copy.items.push_back(std::move(*own));
  }
  return copy;
}

/// What a scalar function of numbers known now gives; none where it is left to run time.
std::optional<double> fold(ScalarOp op, double a) {
  switch (op) {
  case ScalarOp::Abs: return std::fabs(a);
  case ScalarOp::Exp: return std::exp(a);
  case ScalarOp::Log: return std::log(a);
  case ScalarOp::Log1p: return std::log1p(a);
  case ScalarOp::Expm1: return std::expm1(a);
  case ScalarOp::Sqrt: return std::sqrt(a);
  case ScalarOp::Rsqrt: return 1 / std::sqrt(a);
  case ScalarOp::Sin: return std::sin(a);
  case ScalarOp::Cos: return std::cos(a);
  case ScalarOp::Tanh: return std::tanh(a);
  case ScalarOp::Erf: return std::erf(a);
  case ScalarOp::Lgamma: return std::lgamma(a);
  case ScalarOp::Floor: return std::floor(a);
  case ScalarOp::Ceil: return std::ceil(a);
  case ScalarOp::Round: return std::nearbyint(a); // ties to even, as at run time
  case ScalarOp::StopGrad: return a;
  default: return std::nullopt; // operators of two arguments, and digamma
  }
}

} // namespace

Value Instantiator::callCore(const CoreFn& fn, const ast::Expr& e, const ast::Call& call, Env& env) {
  for (const ast::Arg& arg : call.args) {
    if (arg.name && fn.kind != CoreFn::Kind::Concat) {
      error<DiagId::unknown_argument>(arg.name->range, ast::print(*call.callee), arg.name->text);
      return Poison{};
    }
  }
  bool ofWholeValues =
      fn.kind == CoreFn::Kind::Grad || fn.kind == CoreFn::Kind::Reshape || fn.kind == CoreFn::Kind::Concat;
  if (env.element && ofWholeValues) {
    return evalPerElement(e, env, [&](Env& inside) { return callCore(fn, e, call, inside); });
  }
  auto wants = [&](size_t count) {
    if (call.args.size() == count) {
      return true;
    }
    std::string name = ast::print(*call.callee);
    auto report = error<DiagId::wrong_argument_count>(e.range, name, counted(count, "argument"), call.args.size());
    if (call.args.size() == 1 && (name == "max" || name == "min")) {
      report.hint("over the elements of a tensor it is `" + name + "[i] x[i]`");
    }
    return false;
  };
  switch (fn.kind) {
  case CoreFn::Kind::DrawUniform:
  case CoreFn::Kind::DrawNormal:
    if (!wants(0)) {
      return Poison{};
    }
    return callDraw(fn.kind == CoreFn::Kind::DrawUniform ? Distribution::Uniform : Distribution::Normal, e.range, env);
  case CoreFn::Kind::Reshape: return wants(2) ? callReshape(call, e.range, env) : Value();
  case CoreFn::Kind::Concat: return callConcat(call, e.range, env);
  case CoreFn::Kind::Repeat: return wants(2) ? callRepeat(call, e.range, env) : Value();
  case CoreFn::Kind::Chain: return callChain(call, e.range, env);
  case CoreFn::Kind::Recompute: return wants(1) ? callRecompute(call, env) : Value();
  case CoreFn::Kind::Grad: return wants(2) ? callGrad(call, e.range, env) : Value();
  case CoreFn::Kind::Size: return wants(1) ? callSize(call, e.range, env) : Value();
  case CoreFn::Kind::Scalar:
  case CoreFn::Kind::Cast: break;
  }
  size_t arity = fn.kind == CoreFn::Kind::Cast ? 1 : static_cast<size_t>(infoOf(fn.op).arity);
  if (!wants(arity)) {
    return Poison{};
  }
  std::vector<Value> values;
  std::vector<SourceRange> ranges;
  for (const ast::Arg& arg : call.args) {
    values.push_back(forced(eval(*arg.value, env), arg.value->range, env));
    ranges.push_back(arg.value->range);
    if (values.back().poisoned()) {
      return Poison{};
    }
  }
  auto number = [](const Value& v) -> std::optional<double> {
    if (auto* n = v.as<StaticInt>(); n && n->value.isStatic()) {
      return static_cast<double>(n->value.constant());
    }
    auto* f = v.as<StaticFloat>();
    return f ? std::optional(f->value) : std::nullopt;
  };
  std::optional<double> a = number(values[0]);
  if (fn.kind == CoreFn::Kind::Cast) {
    if (values[0].as<InstancePtr>() || values[0].as<InstanceList>()) {
      return withStorage(values[0], fn.dtype, ranges[0]);
    }
    if (a && fn.dtype == DType::F32) {
      return StaticFloat{*a};
    }
    if (a && fn.dtype == DType::F64) {
      return scalar(makeNumber(*a, DType::F64, e.range)); // not rounded to f32 on the way
    }
    if (a && fn.dtype == DType::I32 && std::fabs(*a) < 9e15) {
      return StaticInt{Dim(static_cast<int64_t>(*a))};
    }
    std::optional<Tensor> t = toTensor(values[0], ranges[0]);
    return t ? callCast(fn.dtype, *t, ranges[0], e.range) : Value();
  }
  if (arity == 1 && a) {
    auto* n = values[0].as<StaticInt>();
    if (n && (fn.op == ScalarOp::Abs || fn.op == ScalarOp::StopGrad)) {
      return fn.op == ScalarOp::Abs && n->value.constant() < 0 ? Value(StaticInt{n->value * -1}) : values[0];
    }
    if (std::optional<double> folded = fold(fn.op, *a)) {
      return StaticFloat{*folded};
    }
  }
  if (arity == 2 && a) {
    if (std::optional<double> b = number(values[1])) {
      bool ints = values[0].as<StaticInt>() && values[1].as<StaticInt>();
      if (fn.op == ScalarOp::Pow) {
        return StaticFloat{std::pow(*a, *b)};
      }
      bool first = fn.op == ScalarOp::Min ? *a <= *b : *a >= *b;
      return ints ? values[first ? 0 : 1] : Value(StaticFloat{first ? *a : *b});
    }
  }
  std::vector<Tensor> args;
  for (size_t i = 0; i < values.size(); ++i) {
    std::optional<Tensor> t = toTensor(values[i], ranges[i]);
    if (!t) {
      return Poison{};
    }
    args.push_back(std::move(*t));
  }
  return applyOp(fn.op, std::move(args), ranges, e.range);
}

Value Instantiator::callCast(DType to, const Tensor& value, SourceRange valueRange, SourceRange range) {
  if (value.type.dtype == to) {
    return value;
  }
  return pointwise({value}, {valueRange}, nameOf(to), range,
                   [&](std::vector<ScalarPtr> elements) { return makeCast(to, elements[0], range); });
}

Value Instantiator::callDraw(Distribution distribution, SourceRange range, Env& env) {
  if (!env.draws) {
    error<DiagId::draw_outside_let>(range).hint("write `let u[i: n, …] = …`: one draw for each point");
    return Poison{};
  }
  if (env.reductions > 0) {
    error<DiagId::draw_in_reduction>(range).hint("draw in a let of its own, and reduce that");
    return Poison{};
  }
  if (out_->calledInScan) {
    return unsupported(range, "a random draw in a fn with a `vjp` that a scan calls");
  }
  // FNV-1a of where the draw stands: it does not change when other draws come or go.
  std::string path = env.draws->path + "#" + std::to_string(env.draws->draws++);
  uint32_t site = 0x811c9dc5U;
  for (char c : path) {
    site = (site ^ static_cast<uint8_t>(c)) * 0x01000193U;
  }
  return scalar(makeScalar(DType::F32, range, Draw{distribution, site, env.draws->coordinates, out_->steps()}));
}

Value Instantiator::callReshape(const ast::Call& call, SourceRange range, Env& env) {
  std::optional<Tensor> t = evalTensor(*call.args[0].value, env);
  auto* list = ast::getIf<ast::List>(*call.args[1].value);
  if (!list) {
    error<DiagId::reshape_without_list>(call.args[1].value->range);
    return Poison{};
  }
  std::optional<std::vector<Dim>> dims = evalDims(list->items, env);
  if (!t || !dims) {
    return Poison{};
  }
  // The products as coefficient and symbols; a symbol with its coefficient stands for the batch.
  auto product = [](const std::vector<Dim>& of) -> std::optional<std::pair<int64_t, std::vector<Dim>>> {
    int64_t constant = 1;
    std::vector<Dim> symbolic;
    for (const Dim& d : of) {
      if (!d.isStatic()) {
        symbolic.push_back(d);
      } else if (__builtin_mul_overflow(constant, d.constant(), &constant)) {
        return std::nullopt;
      }
    }
    return std::pair(constant, symbolic);
  };
  auto from = product(t->type.dims);
  auto to = product(*dims);
  bool same = from && to && from == to;
  if (from && to && !same && from->second.size() == 1 && to->second.size() == 1) {
    same = from->second[0] * from->first == to->second[0] * to->first;
  }
  if (!same) {
    TensorType wanted{t->type.dtype, *dims, std::nullopt};
    error<DiagId::reshape_count>(range, str(t->type), str(wanted));
    return Poison{};
  }
  if (t->type.dims == *dims) {
    return *t;
  }
  VarId source = store(*t, "t", call.args[0].value->range);
  TensorType type = out_->type(source);
  type.dims = *dims;
  VarId var = out_->addVar(out_->function.vars[source].name, type);
  out_->emit(range, Reshape{var, source});
  return variable(var);
}

Value Instantiator::callConcat(const ast::Call& call, SourceRange range, Env& env) {
  std::vector<std::pair<Tensor, SourceRange>> tensors;
  std::vector<VarId> parts;
  std::optional<int64_t> axis;
  std::optional<TensorType> type;
  for (const ast::Arg& arg : call.args) {
    if (arg.name) {
      if (arg.name->text != "axis") {
        error<DiagId::unknown_argument>(arg.name->range, "concat", arg.name->text);
        return Poison{};
      }
      axis = evalStaticInt(*arg.value, env, "`axis`");
      if (!axis) {
        return Poison{};
      }
    }
  }
  if (!axis) {
    error<DiagId::missing_argument>(range, "concat", "axis");
    return Poison{};
  }
  for (const ast::Arg& arg : call.args) {
    if (arg.name) {
      continue;
    }
    std::optional<Tensor> t = evalTensor(*arg.value, env);
    if (!t) {
      return Poison{};
    }
    tensors.emplace_back(std::move(*t), arg.value->range);
  }
  bool mixed = std::ranges::any_of(
      tensors, [&](const auto& part) { return part.first.type.dtype != tensors[0].first.type.dtype; });
  for (auto& [part, where] : tensors) {
    const Tensor t = mixed ? widened(part, where) : part;
    if (*axis < 0 || *axis >= static_cast<int64_t>(t.type.rank())) {
      error<DiagId::axis_out_of_range>(range, *axis, str(t.type));
      return Poison{};
    }
    auto at = static_cast<size_t>(*axis);
    if (type) {
      std::vector<Dim> dims = t.type.dims;
      if (dims.size() == type->rank()) {
        dims[at] = type->dims[at];
      }
      if (dims != type->dims || t.type.dtype != type->dtype) {
        error<DiagId::shape_mismatch>(where, "`concat`", str(*type), str(t.type));
        return Poison{};
      }
      type->dims[at] = type->dims[at] + t.type.dims[at];
    } else {
      type = t.type;
      type->bound.reset();
    }
    parts.push_back(store(t, "t", where));
  }
  if (parts.empty()) {
    error<DiagId::wrong_argument_count>(range, "concat", "an `axis` and some tensors", 0);
    return Poison{};
  }
  VarId var = out_->addVar("t", *type);
  out_->emit(range, Concat{var, std::move(parts), static_cast<uint32_t>(*axis)});
  return variable(var);
}

Value Instantiator::callRepeat(const ast::Call& call, SourceRange range, Env& env) {
  std::optional<int64_t> count = evalStaticInt(*call.args[0].value, env, "the number of repetitions");
  Value layer = eval(*call.args[1].value, env);
  if (!count || layer.poisoned()) {
    return Poison{};
  }
  bool several = layer.as<InstancePtr>() || layer.as<InstanceList>();
  std::optional<Value> first = several ? copyUnnamed(layer) : std::nullopt;
  if (!first || *count < 1 || *count > 10000) {
    error<DiagId::wrong_repeat>(range);
    return Poison{};
  }
  InstanceList list;
  for (int64_t i = 0; i < *count; ++i) {
    list.items.push_back(*copyUnnamed(layer));
  }
  return list;
}

Value Instantiator::callRecompute(const ast::Call& call, Env& env) {
  Value callee = eval(*call.args[0].value, env);
  bool callable = callee.as<InstancePtr>() || callee.as<InstanceList>() || callee.as<FnValue>();
  if (!callable) {
    if (!callee.poisoned()) {
      error<DiagId::not_callable>(call.args[0].value->range, describe(callee));
    }
    return Poison{};
  }
  return Recomputed{std::make_shared<const Value>(std::move(callee))};
}

Value Instantiator::withStorage(const Value& value, DType type, SourceRange range) {
  if (computedAs(type) != DType::F32) {
    error<DiagId::wrong_storage>(range, nameOf(type));
    return Poison{};
  }
  if (auto* instance = value.as<InstancePtr>()) {
    if (!(*instance)->path.empty()) {
      error<DiagId::storage_of_named>(range, (*instance)->path)
          .hint("say it where the instance is made: `let l = " + std::string(nameOf(type)) + "(" +
                (*instance)->layer.decl->signature.name.text + "(…))`");
      return Poison{};
    }
    auto own = std::make_shared<Instance>(**instance);
    own->storage = own->storage.value_or(type); // what is nearer to the layer counts
    return own;
  }
  auto* list = value.as<InstanceList>();
  if (!list) {
    return value; // a function of a chain
  }
  InstanceList own;
  for (const Value& item : list->items) {
    own.items.push_back(withStorage(item, type, range));
    if (own.items.back().poisoned()) {
      return Poison{};
    }
  }
  return own;
}

Value Instantiator::callChain(const ast::Call& call, SourceRange range, Env& env) {
  if (call.args.empty()) {
    error<DiagId::wrong_argument_count>(range, "chain", "layers and functions", 0);
    return Poison{};
  }
  InstanceList list;
  for (const ast::Arg& arg : call.args) {
    Value item = eval(*arg.value, env);
    bool callable = item.as<InstancePtr>() || item.as<InstanceList>() || item.as<FnValue>() || item.as<CoreFn>();
    if (!callable) {
      if (!item.poisoned()) {
        error<DiagId::not_callable>(arg.value->range, describe(item));
      }
      return Poison{};
    }
    list.items.push_back(std::move(item));
  }
  return list;
}

Value Instantiator::callGrad(const ast::Call& call, SourceRange range, Env& env) {
  std::optional<Tensor> loss = evalTensor(*call.args[0].value, env);
  std::optional<Tensor> wrt = evalTensor(*call.args[1].value, env);
  if (!loss || !wrt) {
    return Poison{};
  }
  if (!loss->type.isScalar() || !isFloat(loss->type.dtype)) {
    error<DiagId::loss_not_scalar>(call.args[0].value->range, str(loss->type));
    return Poison{};
  }
  VarId lossVar = store(widened(*loss, call.args[0].value->range), "loss", call.args[0].value->range);
  std::set<VarId> reached = dependencies(lossVar);
  if (!wrt->var || !reached.contains(*wrt->var)) {
    error<DiagId::loss_does_not_depend>(range, ast::print(*call.args[1].value));
    return Poison{};
  }
  for (const FunctionBuilder::OpenScan& scan : out_->openScans()) {
    // What a carry owes to the steps before is not part of a gradient in the step.
    bool outside = *wrt->var < scan.step || out_->isRead(*wrt->var);
    auto carry = std::ranges::find_if(scan.carries, [&](VarId c) { return reached.contains(c); });
    if (outside && carry != scan.carries.end()) {
      error<DiagId::grad_through_steps>(range, ast::print(*call.args[1].value), out_->function.vars[*carry].name)
          .hint("take the gradient behind the scan, or say what is constant: `stop_grad(" +
                out_->function.vars[*carry].name + ")`");
      return Poison{};
    }
  }
  VarId result = out_->addVar("grad", gradientType(wrt->type));
  out_->emit(range, Grad{lossVar, {*wrt->var}, {result}});
  return variable(result);
}

Value Instantiator::callSize(const ast::Call& call, SourceRange range, Env& env) {
  const ast::Expr& arg = *call.args[0].value;
  Value value = eval(arg, env);
  std::vector<Dim> dims;
  if (auto* pack = value.as<DimPack>()) {
    dims = pack->dims;
  } else if (auto* t = value.as<Tensor>()) {
    dims = t->type.dims;
  } else {
    if (!value.poisoned()) {
      error<DiagId::not_a_dim_pack>(arg.range, ast::print(arg));
    }
    return Poison{};
  }
  Value product = StaticInt{Dim(1)};
  for (const Dim& d : dims) {
    product = binaryValue(ast::BinaryOp::Mul, product, StaticInt{d}, arg.range, arg.range, range);
  }
  return product;
}

} // namespace dnn::sema
