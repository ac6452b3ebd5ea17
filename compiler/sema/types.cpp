// Types as written against types of values. A dimension that is a bare name is bound by the first type that shows it;
// what it was bound to, and where, is remembered for the message about the second.
#include "compiler/sema/ast_walk.h"
#include "compiler/sema/instantiator.h"
#include "compiler/sema/suggest.h"

namespace dnn::sema {

bool Instantiator::isScalarType(const ast::Type& type) {
  auto* t = std::get_if<ast::TensorType>(&type.node);
  return t && t->dims.empty();
}

std::optional<DType> Instantiator::evalDType(const ast::Name& name) {
  std::optional<DType> type = findDType(name.text);
  if (!type) {
    error<DiagId::unknown_element_type>(name.range, name.text)
        .hint(name.text == "float" ? "write `f32`"
              : name.text == "int"
                  ? "write `i32`"
                  : didYouMean(name.text, {"f32", "f64", "i32", "i64", "u8", "u32", "bool", "bf16", "f16"}));
  }
  return type;
}

std::optional<std::vector<Dim>> Instantiator::evalDims(const std::vector<ast::ExprPtr>& items, Env& env) {
  std::vector<Dim> dims;
  bool ok = true;
  for (const ast::ExprPtr& item : items) {
    if (auto* pack = ast::getIf<ast::PackRef>(*item)) {
      const Binding* b = env.scope->find(pack->name.text);
      if (auto* known = b ? b->value.as<DimPack>() : nullptr) {
        dims.insert(dims.end(), known->dims.begin(), known->dims.end());
      } else {
        error<DiagId::not_a_dim_pack>(item->range, pack->name.text);
        ok = false;
      }
      continue;
    }
    std::optional<Dim> dim = evalDim(*item, env);
    if (dim && dim->min(out_->symbols()) < 1) {
      error<DiagId::dimension_not_positive>(item->range, ast::print(*item), str(*dim));
      dim.reset();
    }
    if (dim) {
      dims.push_back(*dim);
    }
    ok &= dim.has_value();
  }
  return ok ? std::optional(std::move(dims)) : std::nullopt;
}

std::optional<TensorType> Instantiator::evalType(const ast::Type& type, Env& env) {
  auto* t = std::get_if<ast::TensorType>(&type.node);
  if (!t) {
    error<DiagId::tuple_type_here>(type.range);
    return std::nullopt;
  }
  std::optional<DType> dtype = evalDType(t->dtype);
  std::optional<std::vector<Dim>> dims = evalDims(t->dims, env);
  std::optional<Dim> bound;
  if (t->bound) {
    bound = evalDim(*t->bound, env);
    if (!bound) {
      return std::nullopt;
    }
  }
  if (!dtype || !dims) {
    return std::nullopt;
  }
  if (bound && !isInteger(*dtype)) {
    error<DiagId::bound_on_float>(t->bound->range, nameOf(*dtype));
    return std::nullopt;
  }
  if (bound && (bound->min(out_->symbols()) < 1 || bound->max(out_->symbols()) > INT32_MAX)) {
    error<DiagId::option_out_of_range>(t->bound->range, "bound", bound->min(out_->symbols()), 1);
    return std::nullopt;
  }
  return TensorType{*dtype, std::move(*dims), bound};
}

bool Instantiator::matchType(const ast::Type& type, Value& value, SourceRange valueRange, Env& env,
                             const std::set<std::string>& fixed, const std::string& what) {
  if (value.poisoned()) {
    return false;
  }
  if (auto* tupleType = std::get_if<ast::TupleType>(&type.node)) {
    auto* tuple = value.as<TupleValue>();
    if (!tuple || tuple->items.size() != tupleType->items.size()) {
      error<DiagId::wrong_result_count>(valueRange, what, counted(tupleType->items.size(), "value"), describe(value));
      return false;
    }
    TupleValue out = *tuple;
    bool ok = true;
    for (size_t i = 0; i < out.items.size(); ++i) {
      ok = matchType(*tupleType->items[i], out.items[i], valueRange, env, fixed, what) && ok;
    }
    value = std::move(out);
    return ok;
  }
  if (auto* tuple = value.as<TupleValue>()) {
    error<DiagId::wrong_result_count>(valueRange, what, "1 value", describe(*tuple));
    return false;
  }
  std::optional<Tensor> t = toTensor(value, valueRange);
  if (!t) {
    return false;
  }
  bool ok = matchTensor(std::get<ast::TensorType>(type.node), type.range, *t, valueRange, env, fixed, what);
  // Numbers known now stay known: a body may still compute with them.
  bool number = value.as<StaticInt>() || value.as<StaticFloat>() || value.as<StaticBool>();
  if (ok && !number) {
    value = *t;
  }
  if (ok && value.as<StaticInt>() && isFloat(t->type.dtype)) {
    value = StaticFloat{static_cast<double>(value.as<StaticInt>()->value.constant())};
  }
  return ok;
}

bool Instantiator::matchTensor(const ast::TensorType& type, SourceRange typeRange, Tensor& value,
                               SourceRange valueRange, Env& env, const std::set<std::string>& fixed,
                               const std::string& what) {
  std::optional<DType> dtype = evalDType(type.dtype);
  if (!dtype) {
    return false;
  }
  if (type.bound && !isInteger(*dtype)) {
    error<DiagId::bound_on_float>(type.bound->range, nameOf(*dtype));
    return false;
  }
  if (value.type.dtype != *dtype && !convertTo(value, *dtype)) {
    error<DiagId::type_mismatch>(valueRange, what, nameOf(*dtype), str(value.type))
        .note(typeRange, "it is declared here")
        .hint(isStorageOnly(*dtype)                            ? "round with `" + std::string(nameOf(*dtype)) + "(…)`"
              : isFloat(*dtype) && isInteger(value.type.dtype) ? "convert with `float(…)`"
                                                               : "");
    return false;
  }
  convertTo(value, *dtype);

  // How many dimensions the one open pack takes.
  size_t rank = value.type.rank();
  size_t taken = 0;
  const ast::Expr* open = nullptr;
  for (const ast::ExprPtr& dim : type.dims) {
    auto* pack = ast::getIf<ast::PackRef>(*dim);
    const Binding* b = pack ? env.scope->find(pack->name.text) : nullptr;
    auto* known = b ? b->value.as<DimPack>() : nullptr;
    if (!pack) {
      ++taken;
    } else if (known) {
      taken += known->dims.size();
    } else if (open) {
      error<DiagId::two_open_packs>(dim->range, pack->name.text);
      return false;
    } else {
      open = dim.get();
    }
  }
  if (taken > rank || (!open && taken != rank)) {
    error<DiagId::rank_mismatch>(valueRange, what,
                                 open ? std::to_string(taken) + " or more dimensions" : counted(taken, "dimension"),
                                 str(value.type))
        .note(typeRange, "it is declared here");
    return false;
  }
  bool ok = true;
  // Bare names first, so that `f32[N, H * W]` may stand before `H` is seen alone.
  for (bool compound : {false, true}) {
    size_t at = 0;
    for (const ast::ExprPtr& dim : type.dims) {
      if (auto* pack = ast::getIf<ast::PackRef>(*dim)) {
        const Binding* b = env.scope->find(pack->name.text);
        auto* known = b ? b->value.as<DimPack>() : nullptr;
        if (!known) {
          auto first = value.type.dims.begin() + static_cast<std::ptrdiff_t>(at);
          DimPack bound{{first, first + static_cast<std::ptrdiff_t>(rank - taken)}};
          at += bound.dims.size();
          env.scope->bind(pack->name.text, bound, valueRange);
          continue;
        }
        for (const Dim& extent : known->dims) {
          if (compound && ok && value.type.dims[at] != extent) {
            error<DiagId::dimension_mismatch>(valueRange, what, at, str(value.type.dims[at]),
                                              "`*" + pack->name.text + "` is " + str(extent), str(value.type))
                .note(b->where, "`*" + pack->name.text + "` is bound here")
                .note(typeRange, "it is declared here");
            ok = false;
          }
          ++at;
        }
        continue;
      }
      bool bare = ast::getIf<ast::NameRef>(*dim) != nullptr;
      if (bare != compound) {
        ok = matchDim(*dim, value.type.dims[at], at, value, valueRange, env, fixed, what) && ok;
      }
      ++at;
    }
  }
  if (ok && type.bound) {
    const ast::Name* name = nameOf(*type.bound);
    if (name && !env.scope->findHere(name->text) && !fixed.contains(name->text)) {
      if (!value.type.bound) {
        error<DiagId::bound_missing>(valueRange, what, name->text, str(value.type))
            .note(typeRange, "it is declared here");
        return false;
      }
      env.scope->bind(name->text, StaticInt{*value.type.bound}, valueRange);
    }
    std::optional<Dim> bound = evalDim(*type.bound, env);
    if (!bound) {
      return false;
    }
    if (value.body) {
      value.type.bound = provedBound(value);
    }
    if (!value.type.bound) {
      error<DiagId::bound_missing>(valueRange, what, str(*bound), str(value.type))
          .note(typeRange, "it is declared here");
      return false;
    }
    if ((*bound - *value.type.bound).min(out_->symbols()) < 0) {
      auto report = error<DiagId::bound_too_large>(valueRange, what, str(*bound), str(*value.type.bound));
      if (const Binding* b = name ? env.scope->find(name->text) : nullptr) {
        report.note(b->where, "`" + name->text + "` is bound here");
      }
      report.note(typeRange, "it is declared here");
      return false;
    }
  }
  return ok;
}

bool Instantiator::matchDim(const ast::Expr& declared, const Dim& actual, size_t position, const Tensor& value,
                            SourceRange valueRange, Env& env, const std::set<std::string>& fixed,
                            const std::string& what) {
  const Binding* binding = nullptr;
  if (auto* ref = ast::getIf<ast::NameRef>(declared)) {
    const std::string& name = ref->name.text;
    binding = env.scope->findHere(name);
    if (!binding && !fixed.contains(name)) {
      // Outside of the definition only constants and integers are meant; any other name is a new dimension.
      const Binding* outer = env.scope->find(name);
      if (!outer || !(outer->value.as<ConstRef>() || outer->value.as<StaticInt>())) {
        env.scope->bind(name, StaticInt{actual}, valueRange);
        return true;
      }
    }
    if (!binding) {
      binding = env.scope->find(name);
    }
  }
  std::optional<Dim> want = evalDim(declared, env);
  if (!want) {
    return false;
  }
  if (*want == actual) {
    return true;
  }
  std::string text = ast::print(declared);
  bool literal = text == str(*want);
  auto report = error<DiagId::dimension_mismatch>(valueRange, what, position, str(actual),
                                                  literal ? "must be " + text : "`" + text + "` is " + str(*want),
                                                  str(value.type));
  if (binding && binding->where.valid()) {
    report.note(binding->where, "`" + ast::print(declared) + "` is bound here");
  }
  report.note(declared.range, "it is declared here");
  return false;
}

bool Instantiator::bindWheres(const ast::Signature& signature, Env& env) {
  bool ok = true;
  for (const ast::WhereDim& where : signature.wheres) {
    std::optional<Dim> dim = evalDim(*where.value, env);
    if (!dim) {
      ok = false;
      continue;
    }
    if (dim->min(out_->symbols()) < 1) {
      error<DiagId::dimension_not_positive>(where.value->range, where.name.text, str(*dim));
      ok = false;
    }
    env.scope->bind(where.name.text, StaticInt{*dim}, where.name.range);
  }
  return ok;
}

} // namespace dnn::sema
