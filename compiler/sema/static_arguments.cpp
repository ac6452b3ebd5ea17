// Static arguments: what a definition is instantiated with.
#include "compiler/sema/instantiator.h"
#include "compiler/sema/static_names.h"
#include "compiler/sema/suggest.h"

#include <algorithm>

namespace dnn::sema {

std::set<std::string> staticNames(const ast::Signature& signature) {
  std::set<std::string> names;
  for (const ast::StaticDecl& decl : signature.statics) {
    names.insert(decl.name.text);
  }
  return names;
}

std::optional<Value> Instantiator::checkKind(const ast::StaticDecl& decl, Value value, SourceRange range,
                                             const ast::Signature* callee) {
  const std::string& kind = decl.kind.text;
  if (kind == "int") {
    if (auto* n = value.as<StaticInt>(); n && n->value.isStatic()) {
      return value;
    }
  } else if (kind == "float") {
    if (auto* n = value.as<StaticInt>(); n && n->value.isStatic()) {
      return Value(StaticFloat{static_cast<double>(n->value.constant())});
    }
    if (value.as<StaticFloat>()) {
      return value;
    }
  } else if (kind == "bool") {
    if (value.as<StaticBool>()) {
      return value;
    }
  } else if (kind == "str") {
    if (value.as<StaticStr>()) {
      return value;
    }
  } else if (kind == "fn") {
    if (value.as<FnValue>() || value.as<CoreFn>()) {
      return value;
    }
  } else if (kind == "layer") {
    if (value.as<InstancePtr>() || value.as<InstanceList>() || value.as<LayerDef>()) {
      return value;
    }
  } else if (kind == "sched") {
    if (auto* n = value.as<StaticInt>(); n && n->value.isStatic()) {
      return Value(ConstantSchedule{static_cast<double>(n->value.constant())});
    }
    if (auto* n = value.as<StaticFloat>()) {
      return Value(ConstantSchedule{n->value});
    }
    auto* fn = value.as<FnValue>();
    constexpr size_t most = 3; // t, epoch, plateaus
    if (fn && fn->applied && fn->decl->signature.params.size() > 1 && fn->decl->signature.params.size() <= most) {
      return Value(ScheduleFn{*fn});
    }
    if (value.as<ConstantSchedule>() || value.as<ScheduleFn>() || (fn && fn->applied)) {
      return value;
    }
    if (fn) {
      error<DiagId::wrong_static_kind>(range, "`" + decl.name.text + "`", "a schedule", describe(value))
          .note(decl.name.range, "it is declared here")
          .hint("apply its statics: `" + fn->decl->signature.name.text + "(…)`");
      return std::nullopt;
    }
  } else {
    error<DiagId::unknown_kind>(decl.kind.range, kind)
        .hint(didYouMean(kind, {"int", "float", "bool", "str", "fn", "layer", "sched"}));
    return std::nullopt;
  }
  std::string wanted = kind == "int" ? "an integer" : kind == "str" ? "a string" : "a " + kind;
  auto report = error<DiagId::wrong_static_kind>(range, "`" + decl.name.text + "`", wanted, describe(value));
  report.note(decl.name.range, "it is declared here");
  if (value.as<Tensor>() && callee != nullptr) {
    bool defaults = std::ranges::all_of(callee->statics, [](const ast::StaticDecl& s) { return s.value != nullptr; });
    std::string closure = callee->name.text + (defaults ? "()" : "(…)");
    report.hint("statics come first, in parentheses of their own: `" + closure + "(x)`, or `" + closure +
                "` where it is an argument");
  }
  return std::nullopt;
}

std::optional<Statics> Instantiator::bindStatics(const ast::Signature& signature, const ScopePtr& scope,
                                                 const Statics& base, const std::vector<Argument>& args,
                                                 SourceRange range) {
  Statics out = base;
  std::set<std::string> given;
  bool ok = true;
  size_t position = 0;
  for (const Argument& arg : args) {
    const ast::StaticDecl* decl = nullptr;
    if (arg.name) {
      for (const ast::StaticDecl& d : signature.statics) {
        decl = d.name.text == arg.name->text ? &d : decl;
      }
      if (!decl) {
        std::set<std::string> names = staticNames(signature);
        error<DiagId::unknown_argument>(arg.name->range, signature.name.text, arg.name->text)
            .hint(didYouMean(arg.name->text, {names.begin(), names.end()}));
        ok = false;
        continue;
      }
    } else if (position < signature.statics.size()) {
      decl = &signature.statics[position++];
    } else {
      error<DiagId::too_many_arguments>(arg.range, signature.name.text, counted(signature.statics.size(), "argument"));
      ok = false;
      continue;
    }
    if (!given.insert(decl->name.text).second) {
      error<DiagId::duplicate_argument>(arg.range, decl->name.text);
      ok = false;
      continue;
    }
    std::optional<Value> value = checkKind(*decl, arg.value, arg.range, &signature);
    ok &= value.has_value();
    if (value) {
      out[decl->name.text] = *value;
    }
  }
  if (!ok) {
    return std::nullopt;
  }
  // Defaults may use the statics before them.
  ScopePtr inner = std::make_shared<Scope>(scope);
  Frame frame;
  Env defaults;
  defaults.scope = inner;
  defaults.frame = &frame;
  for (const ast::StaticDecl& decl : signature.statics) {
    auto known = out.find(decl.name.text);
    if (known == out.end()) {
      if (!decl.value) {
        error<DiagId::missing_argument>(range, signature.name.text, decl.name.text)
            .note(decl.name.range, "it is declared here");
        return std::nullopt;
      }
      Value value = eval(*decl.value, defaults);
      if (value.poisoned()) {
        return std::nullopt;
      }
      std::optional<Value> checked = checkKind(decl, std::move(value), decl.value->range, nullptr);
      if (!checked) {
        return std::nullopt;
      }
      known = out.emplace(decl.name.text, std::move(*checked)).first;
    }
    inner->bind(decl.name.text, known->second, decl.name.range);
  }
  return out;
}

Value Instantiator::applyStatics(const FnValue& fn, const std::vector<Argument>& args, SourceRange range) {
  std::optional<Statics> statics =
      bindStatics(fn.decl->signature, fn.scope, fn.statics ? *fn.statics : Statics{}, args, range);
  if (!statics) {
    return Poison{};
  }
  return FnValue{fn.decl, fn.scope, true, std::make_shared<const Statics>(std::move(*statics))};
}

} // namespace dnn::sema
