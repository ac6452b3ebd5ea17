// scan t: T with h = e, … { … }: the body runs once here and becomes the body of a loop. The step's number and the
// carries are variables; what the body reads from outside, parameters too, is read outside.
#include "compiler/sema/instantiator.h"
#include "compiler/sema/ranges.h"
#include "compiler/sema/scan.h"
#include "compiler/sema/suggest.h"

namespace dnn::sema {

Value Instantiator::evalScan(const ast::Expr& e, const ast::Scan& scan, Env& env, const ast::Let* let) {
  if (env.element) {
    error<DiagId::scan_in_element>(e.range).hint("give it a `let` of its own");
    return Poison{};
  }
  std::optional<Dim> extent = evalDim(*scan.extent, env);
  if (extent && extent->min(out_->symbols()) < 1) {
    error<DiagId::extent_not_positive>(scan.extent->range, scan.index.text, str(*extent));
    extent.reset();
  } else if (extent && extent->max(out_->symbols()) > INT32_MAX) {
    error<DiagId::extent_too_large>(scan.extent->range, scan.index.text, str(*extent));
    extent.reset();
  }
  if (out_->steps().size() == kMaxScans) {
    error<DiagId::scans_too_deep>(e.range, kMaxScans);
    return Poison{};
  }
  OpenScan open{scan, {}, {}, {}, {}, true};
  for (const ast::Carry& carry : scan.carries) {
    open.initial.push_back(initialCarry(carry, env));
    open.ok &= open.initial.back().has_value();
  }
  open.nexts.resize(scan.carries.size());
  if (!extent || !open.ok) {
    return Poison{};
  }

  Scan node;
  node.extent = *extent;
  node.reverse = scan.reverse;
  if (scan.saveEvery) {
    std::optional<int64_t> every = evalStaticInt(*scan.saveEvery, env, "the number of steps");
    if (!every) {
      return Poison{};
    }
    bool divides = *every == 1 || (*every > 1 && extent->isStatic() && extent->constant() % *every == 0);
    if (!divides) {
      error<DiagId::wrong_save_every>(scan.saveEvery->range, *every, str(*extent))
          .note(scan.extent->range, "the number of steps");
      return Poison{};
    }
    node.saveEvery = static_cast<uint32_t>(*every);
  }
  node.step = out_->addVar(scan.index.text, TensorType{DType::I32, {}, *extent});
  Env inner = env;
  inner.scope = std::make_shared<Scope>(env.scope);
  inner.bases = nullptr;
  inner.scan = &open;
  inner.scope->bind(scan.index.text, variable(node.step), scan.index.range);
  for (size_t i = 0; i < scan.carries.size(); ++i) {
    const ast::Name& name = scan.carries[i].name;
    VarId value = out_->addVar(name.text, out_->type(*open.initial[i]));
    node.carries.push_back({*open.initial[i], value, 0, 0});
    inner.scope->bind(name.text, variable(value), name.range);
  }
  std::vector<VarId> carries;
  for (const Scan::Carry& carry : node.carries) {
    carries.push_back(carry.value);
  }
  out_->beginScan(node.step, std::move(carries));
  runBlock(*scan.body, inner);
  for (size_t i = 0; i < scan.carries.size(); ++i) {
    const ast::Name& name = scan.carries[i].name;
    if (open.nexts[i]) {
      node.carries[i].next = open.nexts[i]->value;
    } else if (open.ok && !env.frame->failed && !tooDeep_) {
      error<DiagId::carry_without_next>(name.range, name.text)
          .hint("say what it is in the next step: `next " + name.text + " = …`");
      open.ok = false;
    }
  }
  bool byRows = open.ok && open.until && !tooDeep_ && !out_->type(open.until->value).isScalar();
  if (byRows && !endRows(node, open)) {
    open.ok = false;
  }
  node.body = out_->endScan();
  if (open.until) {
    node.until = open.until->value;
  }
  if (node.untilRows) {
    beginRows(node, open.until->where);
  }
  if (!open.ok || env.frame->failed || tooDeep_) {
    return Poison{};
  }
  return scanResults(e, std::move(node), open, let);
}

Value Instantiator::recomputed(const Value& callee, std::vector<Argument> args, SourceRange calleeRange,
                               SourceRange range, Env& env) {
  if (env.element) {
    error<DiagId::scan_in_element>(range).hint("give it a `let` of its own");
    return Poison{};
  }
  for (Argument& arg : args) { // computed outside, and kept
    arg.value = bindable(forced(arg.value, arg.range, env), "x", arg.range, env);
  }
  Scan node;
  node.extent = Dim(1);
  node.saveEvery = 1;
  node.step = out_->addVar("again", TensorType{DType::I32, {}, Dim(1)});
  out_->beginScan(node.step, {});
  Value value = forced(callValue(callee, std::move(args), calleeRange, range, env), range, env);
  std::vector<Value> parts = value.as<TupleValue>() ? value.as<TupleValue>()->items : std::vector<Value>{value};
  for (const Value& part : parts) {
    if (std::optional<Tensor> t = toTensor(part, range)) {
      VarId inside = store(*t, "y", range);
      TensorType type = out_->type(inside);
      type.dims.insert(type.dims.begin(), Dim(1));
      node.emits.push_back({inside, out_->addVar(out_->function.vars[inside].name, std::move(type))});
    }
  }
  node.body = out_->endScan();
  if (node.emits.size() != parts.size()) {
    return Poison{};
  }
  std::vector<Scan::Emit> emits = node.emits;
  out_->emit(range, std::move(node));
  TupleValue out;
  for (const Scan::Emit& emit : emits) {
    VarId whole = out_->addVar(out_->function.vars[emit.value].name, out_->type(emit.value));
    out_->emit(range, Reshape{whole, emit.stacked});
    out.items.push_back(variable(whole));
  }
  return out.items.size() == 1 ? out.items[0] : Value(std::move(out));
}

Value Instantiator::scanResults(const ast::Expr& e, Scan node, const OpenScan& open, const ast::Let* let) {
  size_t emits = open.emits.size();
  size_t carries = open.scan.carries.size(); // the node may have one more, behind them
  bool apart = let && let->tuple;            // `let (a, b) = scan …`
  size_t wanted = apart ? let->names.size() : emits;
  if (!apart && emits == 0) {
    const std::string& carry = open.scan.carries[0].name.text;
    error<DiagId::scan_emits_nothing>(e.range).hint(
        "write `emit …` in its body, or take what the carries are in the end: `let (" + carry +
        (carries > 1 ? ", …" : "") + ") = scan …`");
    return Poison{};
  }
  if (wanted != emits && wanted != emits + carries) {
    error<DiagId::tuple_mismatch>(e.range, counted(wanted, "name"),
                                  "a scan that emits " + counted(emits, "value") + " and ends with " +
                                      counted(carries, "carry value"));
    return Poison{};
  }
  auto nameOfResult = [&](size_t i, const std::string& own) {
    bool named = let && i < let->names.size() && (apart || emits == 1);
    return named ? let->names[i].text : own;
  };
  TupleValue out;
  for (size_t i = 0; i < emits; ++i) {
    VarId value = open.emits[i];
    TensorType type = out_->type(value);
    type.dims.insert(type.dims.begin(), node.extent);
    VarId stacked = out_->addVar(nameOfResult(i, out_->function.vars[value].name), std::move(type));
    node.emits.push_back({value, stacked});
    out.items.push_back(variable(stacked));
  }
  for (size_t i = 0; i < node.carries.size(); ++i) {
    std::string name = i < carries ? nameOfResult(emits + i, open.scan.carries[i].name.text) : "ended";
    node.carries[i].last = out_->addVar(std::move(name), out_->type(node.carries[i].value));
    if (wanted > emits && i < carries) {
      out.items.push_back(variable(node.carries[i].last));
    }
  }
  out_->emit(e.range, std::move(node));
  return out.items.size() == 1 && !apart ? out.items[0] : Value(std::move(out));
}

std::optional<VarId> Instantiator::initialCarry(const ast::Carry& carry, Env& env) {
  const std::string& name = carry.name.text;
  SourceRange range = carry.value->range;
  if (!carry.type) {
    Value value = forced(eval(*carry.value, env), range, env);
    bool number = value.as<StaticInt>() || value.as<StaticFloat>();
    std::optional<Tensor> t = toTensor(value, range);
    if (!t) {
      return std::nullopt;
    }
    if (number || t->weak) {
      convertTo(*t, DType::F32);
    }
    VarId initial = store(*t, name, range);
    return number ? withType(initial, TensorType{DType::F32, {}, std::nullopt}, name, range) : initial;
  }
  std::optional<TensorType> type = evalType(*carry.type, env);
  std::vector<IndexId> indices = type ? freshIndices(type->dims, range) : std::vector<IndexId>{};
  DrawSite site{indices, callPath(env), 0};
  Env element = env;
  element.element = true;
  element.draws = &site;
  element.reductions = 0;
  Value value = eval(*carry.value, env);
  std::optional<Tensor> t = toTensor(forced(value, range, element), range);
  if (!t || !type) {
    return std::nullopt;
  }
  bool fits = storeAs(*t, type->dtype, range);
  if (fits && t->type.isScalar() && !type->isScalar()) {
    Tensor filled = scalar(this->element(*t, {}, range));
    filled.type.dims = type->dims;
    filled.indices = indices;
    t = filled;
  }
  if (!fits || t->type.dims != type->dims) {
    error<DiagId::type_mismatch>(range, "the initial value of the carry `" + name + "`", str(*type), str(t->type))
        .note(carry.type->range, "it is declared here");
    return std::nullopt;
  }
  VarId initial = store(*t, name, range);
  const std::optional<Dim> bound = out_->type(initial).bound;
  if (type->bound && !(bound && provedAtMost(*bound, *type->bound, out_->symbols()))) {
    std::string what = "the initial value of the carry `" + name + "`";
    if (bound) {
      error<DiagId::bound_too_large>(range, what, str(*type->bound), str(*bound))
          .note(carry.type->range, "it is declared here");
    } else {
      error<DiagId::bound_missing>(range, what, str(*type->bound), str(out_->type(initial)))
          .note(carry.type->range, "it is declared here");
    }
    return std::nullopt;
  }
  return withType(initial, *type, name, range);
}

VarId Instantiator::withType(VarId var, const TensorType& type, const std::string& name, SourceRange range) {
  if (out_->type(var) == type) {
    return var;
  }
  std::vector<IndexId> indices = freshIndices(type.dims, range);
  std::vector<ScalarPtr> subscripts;
  for (IndexId index : indices) {
    subscripts.push_back(makeIndex(index, range));
  }
  ScalarPtr value = makeScalar(type.dtype, range, Access{var, std::move(subscripts), std::nullopt});
  return out_->emitLet(name, type, std::move(indices), std::move(value), range);
}

void Instantiator::runNext(const ast::Stmt& stmt, const ast::Next& next, Env& env) {
  env.frame->statement = "next " + next.name.text;
  OpenScan& open = *env.scan;
  size_t at = 0;
  while (at < open.scan.carries.size() && open.scan.carries[at].name.text != next.name.text) {
    ++at;
  }
  std::optional<Tensor> value = evalTensor(*next.value, env);
  if (!value || at == open.scan.carries.size()) { // what is no carry was reported with the names
    open.ok = false;
    return;
  }
  const ast::Carry& carry = open.scan.carries[at];
  if (open.nexts[at]) {
    error<DiagId::duplicate_next>(stmt.range, next.name.text).note(open.nexts[at]->where, "the first one is here");
    open.ok = false;
    return;
  }
  const TensorType type = out_->type(*open.initial[at]);
  bool fits = storeAs(*value, type.dtype, next.value->range) && value->type.dims == type.dims;
  VarId var = fits ? store(*value, next.name.text, next.value->range) : 0;
  TensorType have = fits ? out_->type(var) : value->type;
  fits = fits && (!type.bound || (have.bound && provedAtMost(*have.bound, *type.bound, out_->symbols())));
  if (!fits) {
    auto report = error<DiagId::carry_changed>(next.value->range, next.name.text, str(type), str(have));
    report.note(carry.type ? carry.type->range : carry.value->range,
                carry.type ? "it is declared here" : "its first value is " + str(type));
    bool number = !carry.type && have.isScalar() && type.isScalar();
    if (number || (!carry.type && type.bound)) {
      have.bound.reset();
      report.hint("a carry of another type says so: `" + carry.name.text + ": " + str(have) + " = " +
                  ast::print(*carry.value) + "`");
    }
    open.ok = false;
    return;
  }
  open.nexts[at] = OpenScan::Next{var, stmt.range};
}

void Instantiator::runEmit(const ast::Emit& emit, Env& env) {
  env.frame->statement = "emit";
  for (const ast::ExprPtr& item : emit.values) {
    if (std::optional<Tensor> t = evalTensor(*item, env)) {
      env.scan->emits.push_back(store(*t, "emit", item->range));
    } else {
      env.scan->ok = false;
    }
  }
}

void Instantiator::runUntil(const ast::Stmt& stmt, const ast::Until& until, Env& env) {
  env.frame->statement = "until";
  OpenScan& open = *env.scan;
  std::optional<Tensor> value = evalTensor(*until.condition, env);
  if (!value) {
    open.ok = false;
    return;
  }
  const TensorType wanted{DType::Bool, {}, std::nullopt};
  bool byRows = value->type.dtype == DType::Bool && value->type.rank() == 1;
  if (value->type != wanted && !byRows) {
    auto report =
        error<DiagId::type_mismatch>(until.condition->range, "what ends the scan", str(wanted), str(value->type));
    if (value->type.dtype == DType::Bool) {
      report.hint("say which of them count: `all[…]` or `any[…]`");
    }
    open.ok = false;
    return;
  }
  if (open.until) {
    error<DiagId::duplicate_until>(stmt.range)
        .note(open.until->where, "the first one is here")
        .hint("join them with `or`");
    open.ok = false;
    return;
  }
  open.until = OpenScan::Next{store(*value, "until", until.condition->range), stmt.range};
}

} // namespace dnn::sema
