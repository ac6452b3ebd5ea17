// A fn with a derivative rule of its own stays a call: the primal and the rule become helper functions of the program,
// on the types that the call has.
#include "compiler/sema/instantiator.h"
#include "compiler/sema/suggest.h"

namespace dnn::sema {

Value Instantiator::callWithRule(const FnValue& fn, std::vector<Argument> args, SourceRange range, Env& env) {
  const ast::Signature& signature = fn.decl->signature;
  bool scalarParams = true;
  for (const ast::ParamDecl& param : signature.params) {
    scalarParams &= isScalarType(*param.type);
  }
  std::vector<Tensor> values;
  for (size_t i = 0; i < args.size(); ++i) {
    std::optional<Tensor> t = toTensor(args[i].value, args[i].range);
    auto* declared = std::get_if<ast::TensorType>(&signature.params[i].type->node);
    std::optional<DType> dtype = declared ? evalDType(declared->dtype) : std::nullopt;
    if (!t || !dtype) {
      return Poison{};
    }
    convertTo(*t, *dtype); // literals; the body's type check reports what does not fit
    values.push_back(std::move(*t));
  }

  // Inside an element: the arguments become tensors over the indices that they use, the result is read at these.
  std::vector<IndexId> around;
  if (env.element) {
    std::set<IndexId> free;
    for (const Tensor& t : values) {
      if (!t.type.isScalar()) {
        return unsupported(range, "a fn with a `vjp` on a tensor that belongs to one element");
      }
      if (t.body) {
        free.merge(freeIndices(t.body));
      }
    }
    around.assign(free.begin(), free.end());
    std::vector<Dim> dims;
    for (IndexId index : around) {
      dims.push_back(out_->extent(index));
    }
    for (size_t i = 0; i < values.size(); ++i) {
      std::vector<IndexId> own = freshIndices(dims, args[i].range);
      std::map<IndexId, ScalarPtr> renamed;
      for (size_t k = 0; k < own.size(); ++k) {
        renamed[around[k]] = makeIndex(own[k], args[i].range);
      }
      Tensor whole = scalar(substitute(*out_, element(values[i], {}, args[i].range), renamed));
      whole.type.dims = dims;
      whole.indices = own;
      values[i] = whole;
    }
  }

  std::vector<VarId> argVars;
  std::optional<std::vector<Dim>> lifted;
  for (size_t i = 0; i < values.size(); ++i) {
    argVars.push_back(store(values[i], signature.params[i].name.text, args[i].range));
    const TensorType& type = out_->type(argVars[i]);
    if (scalarParams && !type.isScalar()) {
      if (lifted && *lifted != type.dims) {
        TensorType other{type.dtype, *lifted, std::nullopt};
        error<DiagId::shape_mismatch>(range, "`" + signature.name.text + "`", str(other), str(type));
        return Poison{};
      }
      lifted = type.dims;
    }
  }

  FunctionBuilder* caller = out_;
  Env inner = env;
  inner.element = false;
  inner.draws = nullptr;
  inner.bases = nullptr;
  static const Statics none;
  const Statics& statics = fn.statics ? *fn.statics : none;

  // The inputs of a helper, as arguments of a body: whole, or the elements of a lifted call.
  auto begin = [&](FunctionBuilder& helper, std::string name) {
    helper.function.name = std::move(name);
    helper.function.symbols = caller->function.symbols;
    helper.calledInScan = caller->inScan();
    out_ = &helper;
  };
  auto addInput = [&](FunctionBuilder& helper, const std::string& name, const TensorType& type) {
    VarId var = helper.addVar(name, type);
    helper.function.inputs.push_back({var, name});
    return var;
  };
  auto asArguments = [&](const std::vector<VarId>& vars, const std::vector<ScalarPtr>& subscripts) {
    std::vector<Argument> out;
    for (size_t i = 0; i < vars.size(); ++i) {
      Tensor whole = variable(vars[i]);
      SourceRange at = i < args.size() ? args[i].range : range;
      bool elements = lifted && !whole.type.isScalar();
      out.push_back({nullptr, elements ? Value(scalar(element(whole, subscripts, at))) : Value(whole), at});
    }
    return out;
  };
  auto liftedIndices = [&] {
    std::vector<IndexId> indices = lifted ? freshIndices(*lifted, range) : std::vector<IndexId>{};
    std::vector<ScalarPtr> subscripts;
    for (IndexId index : indices) {
      subscripts.push_back(makeIndex(index, range));
    }
    return std::pair(indices, subscripts);
  };
  auto wholeOf = [&](const Value& value, const std::vector<IndexId>& indices) -> std::optional<Tensor> {
    std::optional<Tensor> t = toTensor(value, range);
    if (t && lifted && t->type.isScalar()) {
      std::vector<IndexId> own = freshIndices(*lifted, range);
      std::map<IndexId, ScalarPtr> renamed;
      for (size_t i = 0; i < own.size(); ++i) {
        renamed[indices[i]] = makeIndex(own[i], range);
      }
      Tensor out = scalar(substitute(*out_, element(*t, {}, range), renamed));
      out.type.dims = *lifted;
      out.indices = own;
      return out;
    }
    return t;
  };
  auto itemsOf = [](const Value& value) {
    auto* tuple = value.as<TupleValue>();
    return tuple ? tuple->items : std::vector<Value>{value};
  };

  FunctionBuilder primal;
  begin(primal, signature.name.text);
  std::vector<VarId> inputs;
  for (size_t i = 0; i < argVars.size(); ++i) {
    inputs.push_back(addInput(primal, signature.params[i].name.text, caller->type(argVars[i])));
  }
  Frame frame;
  frame.path = callPath(env);
  inner.element = lifted.has_value();
  auto [indices, subscripts] = liftedIndices();
  Value result =
      runBody(signature, fn.decl->body, fn.scope, statics, asArguments(inputs, subscripts), range, frame, inner);
  bool ok = !result.poisoned();
  std::vector<TensorType> resultTypes;
  for (const Value& item : itemsOf(result)) {
    std::optional<Tensor> t = ok ? wholeOf(item, indices) : std::nullopt;
    ok &= t.has_value();
    if (t) {
      primal.function.returns.push_back(store(*t, "y", range));
      resultTypes.push_back(primal.type(primal.function.returns.back()));
    }
  }

  FunctionBuilder rule;
  begin(rule, signature.name.text + ".vjp");
  const ast::VjpRule& vjp = *fn.decl->vjp;
  if (ok && vjp.params.size() != resultTypes.size()) {
    error<DiagId::wrong_vjp_params>(vjp.range, signature.name.text, counted(resultTypes.size(), "gradient"),
                                    vjp.params.size());
    ok = false;
  }
  if (ok) {
    inputs.clear();
    for (size_t i = 0; i < argVars.size(); ++i) {
      inputs.push_back(addInput(rule, signature.params[i].name.text, caller->type(argVars[i])));
    }
    for (size_t i = 0; i < resultTypes.size(); ++i) {
      inputs.push_back(addInput(rule, vjp.params[i].text, gradientType(resultTypes[i])));
    }
    auto [ruleIndices, ruleSubscripts] = liftedIndices();
    std::vector<Argument> bound = asArguments(inputs, ruleSubscripts);
    Frame ruleFrame;
    ruleFrame.path = frame.path + ".vjp";
    Env ruleEnv = inner;
    ruleEnv.frame = &ruleFrame;
    ruleEnv.scope = std::make_shared<Scope>(fn.scope);
    for (auto& [name, value] : statics) {
      ruleEnv.scope->bind(name, value, range);
    }
    std::set<std::string> fixed;
    for (size_t i = 0; i < bound.size(); ++i) {
      bool isArg = i < signature.params.size();
      const ast::Name& name = isArg ? signature.params[i].name : vjp.params[i - signature.params.size()];
      if (isArg) {
        matchType(*signature.params[i].type, bound[i].value, bound[i].range, ruleEnv, fixed, "`" + name.text + "`");
      }
      ruleEnv.scope->bind(name.text, bound[i].value, name.range);
    }
    std::optional<Value> gradients = runBlock(vjp.body, ruleEnv);
    std::vector<size_t> floats;
    for (size_t i = 0; i < argVars.size(); ++i) {
      if (isFloat(caller->type(argVars[i]).dtype)) {
        floats.push_back(i);
      }
    }
    std::vector<Value> items = gradients ? itemsOf(*gradients) : std::vector<Value>{};
    ok = gradients && !gradients->poisoned();
    if (!gradients || (ok && items.size() != floats.size())) {
      error<DiagId::wrong_vjp_results>(vjp.range, signature.name.text, counted(floats.size(), "gradient"),
                                       items.size());
      ok = false;
    }
    for (size_t i = 0; ok && i < items.size(); ++i) {
      const TensorType want = gradientType(caller->type(argVars[floats[i]]));
      std::optional<Tensor> t = toTensor(items[i], vjp.range);
      if (t && (t->weak || isStorageOnly(t->type.dtype))) {
        convertTo(*t, want.dtype);
      }
      if (t && lifted && want.isScalar()) {
        // A number that every element used: its gradient is the sum of theirs.
        Reduce sum{Reduce::Kind::Sum, ruleIndices, nullptr, element(*t, {}, vjp.range)};
        t = scalar(makeScalar(want.dtype, vjp.range, std::move(sum)));
      } else if (t) {
        t = wholeOf(*t, ruleIndices);
      }
      if (t && (t->type.dtype != want.dtype || t->type.dims != want.dims)) {
        error<DiagId::type_mismatch>(vjp.range, "the gradient of `" + signature.params[floats[i]].name.text + "`",
                                     str(want), str(t->type));
        t.reset();
      }
      ok &= t.has_value();
      if (t) {
        rule.function.returns.push_back(store(*t, "d_" + signature.params[floats[i]].name.text, vjp.range));
      }
    }
  }
  out_ = caller;
  if (!ok) {
    return Poison{};
  }

  CallVjp call;
  call.args = argVars;
  call.primal = static_cast<uint32_t>(program_.helpers.size());
  call.rule = call.primal + 1;
  program_.helpers.push_back(std::move(primal.function));
  program_.helpers.push_back(std::move(rule.function));
  TupleValue out;
  for (const TensorType& type : resultTypes) {
    VarId var = out_->addVar("y", type);
    call.results.push_back(var);
    if (env.element) {
      std::vector<ScalarPtr> at;
      for (IndexId index : around) {
        at.push_back(makeIndex(index, range));
      }
      out.items.push_back(scalar(makeScalar(type.dtype, range, Access{var, std::move(at), std::nullopt})));
    } else {
      out.items.push_back(variable(var));
    }
  }
  out_->emit(range, std::move(call));
  return out.items.size() == 1 ? out.items[0] : Value(std::move(out));
}

} // namespace dnn::sema
