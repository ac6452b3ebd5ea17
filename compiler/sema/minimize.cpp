// minimize loss over parameters with optimizer: a gradient for exactly these parameters, then the optimizer's body once
// for each of them. Later reads in the step see the new values.
#include "compiler/sema/instantiator.h"
#include "compiler/sema/suggest.h"
#include "compiler/support/assert.h"

#include <algorithm>
#include <functional>

namespace dnn::sema {

namespace {

/// Is this parameter what the pattern names, or a part of it? A `*` stands for one name or several.
bool isBelow(std::string_view path, std::string_view pattern) {
  auto split = [](std::string_view text) {
    size_t dot = std::min(text.find('.'), text.size());
    return std::pair(text.substr(0, dot), text.substr(std::min(dot + 1, text.size())));
  };
  if (pattern.empty()) {
    return true;
  }
  if (path.empty()) {
    return false;
  }
  auto [name, below] = split(path);
  auto [wanted, rest] = split(pattern);
  if (wanted == ast::kAnyNames) {
    return isBelow(below, rest) || isBelow(below, pattern);
  }
  return name == wanted && isBelow(below, rest);
}

void collectVars(const ScalarPtr& s, std::set<const Scalar*>& seen, const std::function<void(VarId)>& visit) {
  if (!seen.insert(s.get()).second) {
    return;
  }
  if (auto* access = std::get_if<Access>(&s->node)) {
    visit(access->var);
  }
  if (auto* apply = std::get_if<Apply>(&s->node); apply && apply->op == ScalarOp::StopGrad) {
    return;
  }
  forEachChild(*s, [&](const ScalarPtr& child) { collectVars(child, seen, visit); });
}

void collectNeeded(const std::vector<Statement>& body, std::set<VarId>& needed);

/// A carry is needed if its last value is, or if the body needs it for what is emitted or for a carry that is needed.
void collectNeeded(const Scan& scan, std::set<VarId>& needed) {
  for (const Scan::Emit& emit : scan.emits) {
    if (needed.contains(emit.stacked)) {
      needed.insert(emit.value);
    }
  }
  for (size_t before = 0; before != needed.size();) {
    before = needed.size();
    for (const Scan::Carry& carry : scan.carries) {
      if (needed.contains(carry.last) || needed.contains(carry.value)) {
        needed.insert({carry.initial, carry.next});
      }
    }
    collectNeeded(scan.body, needed);
  }
}

/// Adds what the needed variables are computed from. Statements are in order, so one pass from the end meets every
/// definition after its uses.
void collectNeeded(const std::vector<Statement>& body, std::set<VarId>& needed) {
  for (auto stmt = body.rbegin(); stmt != body.rend(); ++stmt) {
    auto need = [&](VarId v) { needed.insert(v); };
    if (auto* let = std::get_if<Let>(&stmt->node)) {
      if (needed.contains(let->var)) {
        std::set<const Scalar*> seen;
        collectVars(let->value, seen, need);
      }
    } else if (auto* reshape = std::get_if<Reshape>(&stmt->node)) {
      if (needed.contains(reshape->var)) {
        need(reshape->from);
      }
    } else if (auto* concat = std::get_if<Concat>(&stmt->node)) {
      if (needed.contains(concat->var)) {
        std::for_each(concat->parts.begin(), concat->parts.end(), need);
      }
    } else if (auto* call = std::get_if<CallVjp>(&stmt->node)) {
      if (std::any_of(call->results.begin(), call->results.end(), [&](VarId v) { return needed.contains(v); })) {
        std::for_each(call->args.begin(), call->args.end(), need);
      }
    } else if (auto* grad = std::get_if<Grad>(&stmt->node)) {
      if (std::any_of(grad->results.begin(), grad->results.end(), [&](VarId v) { return needed.contains(v); })) {
        need(grad->loss);
        std::for_each(grad->wrt.begin(), grad->wrt.end(), need);
      }
    } else if (auto* scan = std::get_if<Scan>(&stmt->node)) {
      collectNeeded(*scan, needed);
    }
  }
}

} // namespace

std::set<VarId> Instantiator::dependencies(VarId root) const {
  std::set<VarId> needed = {root};
  const auto& scans = out_->openScans();
  for (auto scan = scans.rbegin(); scan != scans.rend(); ++scan) {
    collectNeeded(scan->body, needed);
  }
  collectNeeded(out_->function.body, needed);
  return needed;
}

std::optional<std::string> Instantiator::selectionPath(const ast::Expr& e, Env& env) {
  if (auto* ref = ast::getIf<ast::NameRef>(e)) {
    const Binding* b = env.scope->find(ref->name.text);
    if (!b || !(b->value.as<InstancePtr>() || b->value.as<InstanceList>())) {
      if (!b || !b->value.poisoned()) {
        error<DiagId::not_an_instance>(e.range, ref->name.text, b ? describe(b->value) : "nothing");
      }
      return std::nullopt;
    }
    if (auto* instance = b->value.as<InstancePtr>()) {
      if ((*instance)->values) {
        error<DiagId::not_an_instance>(e.range, ref->name.text, "an instance with values that are no parameters");
        return std::nullopt;
      }
      return (*instance)->path;
    }
    return ref->name.text;
  }
  if (auto* member = ast::getIf<ast::Member>(e)) {
    std::optional<std::string> base = selectionPath(*member->base, env);
    return base ? std::optional(*base + "." + member->name.text) : std::nullopt;
  }
  if (auto* subscript = ast::getIf<ast::Subscript>(e); subscript && subscript->items.size() == 1) {
    std::optional<std::string> base = selectionPath(*subscript->base, env);
    std::optional<int64_t> at = evalStaticInt(*subscript->items[0], env, "the number of a layer");
    return base && at ? std::optional(*base + "." + std::to_string(*at)) : std::nullopt;
  }
  error<DiagId::not_an_instance>(e.range, ast::print(e), "another expression");
  return std::nullopt;
}

std::optional<std::vector<PersistentId>> Instantiator::selectParameters(const ast::Minimize& minimize, Env& env) {
  std::set<PersistentId> selected;
  bool ok = true;
  auto apply = [&](const ast::Expr& e, const std::function<bool(PersistentId)>& take) {
    std::optional<std::string> path = selectionPath(e, env);
    if (!path) {
      ok = false;
      return;
    }
    bool any = false;
    std::vector<std::string> paths;
    for (PersistentId id = 0; id < program_.persistents.size(); ++id) {
      const Persistent& p = program_.persistents[id];
      if (p.kind != plan::Persistent::Kind::Parameter) {
        continue;
      }
      // What else may be named: every prefix of a path.
      for (size_t dot = p.path.find('.'); dot != std::string::npos; dot = p.path.find('.', dot + 1)) {
        paths.push_back(p.path.substr(0, dot));
      }
      paths.push_back(p.path);
      if (isBelow(p.path, *path)) {
        any |= take(id);
      }
    }
    if (!any) {
      ok = false;
      if (callFailed(*path)) {
        return;
      }
      auto report = error<DiagId::no_parameters>(e.range, *path);
      std::string near = didYouMean(*path, paths);
      bool isPattern = path->find(ast::kAnyNames) != std::string::npos;
      report.hint(isPattern      ? "`dnnc summary` lists the parameters"
                  : near.empty() ? "an instance has parameters from its first call on"
                                 : near);
    }
  };
  for (const ast::ExprPtr& e : minimize.over) {
    apply(*e, [&](PersistentId id) {
      selected.insert(id);
      return true;
    });
  }
  for (const ast::ExprPtr& e : minimize.except) {
    apply(*e, [&](PersistentId id) { return selected.erase(id) != 0; });
  }
  if (ok && selected.empty()) {
    error<DiagId::nothing_selected>(minimize.over.front()->range);
    ok = false;
  }
  return ok ? std::optional(std::vector<PersistentId>(selected.begin(), selected.end())) : std::nullopt;
}

void Instantiator::runMinimize(const ast::Stmt& stmt, const ast::Minimize& minimize, Env& env) {
  env.frame->statement = "minimize";
  std::optional<Tensor> loss = evalTensor(*minimize.loss, env);
  std::optional<std::vector<PersistentId>> parameters =
      loss ? selectParameters(minimize, env) : std::nullopt; // an instance has parameters once the loss has called it
  const Binding* binding = env.scope->find(minimize.optimizer.text);
  auto* optimizer = binding ? binding->value.as<OptimizerPtr>() : nullptr;
  if (!optimizer && !(binding && binding->value.poisoned())) {
    error<DiagId::not_an_optimizer>(minimize.optimizer.range, minimize.optimizer.text,
                                    binding ? describe(binding->value) : "nothing")
        .hint("declare one: `opt o = sgd(lr = 0.1)`");
  }
  if (loss && (!loss->type.isScalar() || !isFloat(loss->type.dtype))) {
    auto report = error<DiagId::loss_not_scalar>(minimize.loss->range, str(loss->type));
    if (!loss->type.isScalar()) {
      report.hint("reduce it, for instance with `mean(…)`");
    }
    loss.reset();
  }
  if (!loss || !parameters || !optimizer) {
    return;
  }
  loss = widened(*loss, minimize.loss->range);
  auto mode = modes_.find(&minimize);
  if (mode != modes_.end() && mode->second == Mode::Rest) {
    return;
  }
  VarId lossVar = store(*loss, "loss", minimize.loss->range);
  std::set<VarId> reached = dependencies(lossVar);
  Grad grad{lossVar, {}, {}};
  bool ok = true;
  for (PersistentId id : *parameters) {
    const Persistent& p = program_.persistents[id];
    std::vector<VarId> read;
    for (VarId version : out_->versions(id)) {
      if (reached.contains(version)) {
        read.push_back(version);
      }
    }
    if (read.empty()) {
      error<DiagId::loss_does_not_depend>(minimize.loss->range, p.path)
          .note(p.range, "`" + p.path + "` is declared here")
          .hint("leave it out with `except " + p.path + "`");
      ok = false;
      continue;
    }
    grad.wrt.push_back(read.back());
    grad.results.push_back(out_->addVar("d_" + p.path.substr(p.path.rfind('.') + 1), gradientType(p.type)));
  }
  if (!ok) {
    return;
  }
  out_->emit(stmt.range, grad);
  minimised_[entries_.size() - 1].insert(lossVar);
  const OptimizerUse& use = **optimizer;
  const ast::Signature& signature = use.def.decl->signature;
  if (signature.params.size() != 3) {
    error<DiagId::wrong_optimizer_params>(signature.name.range, signature.name.text, signature.params.size());
    return;
  }
  std::vector<Value> gradients;
  for (VarId result : grad.results) {
    gradients.emplace_back(variable(result));
  }
  if (mode != modes_.end() && mode->second == Mode::Gather) {
    gather(minimize, use.name, *parameters, gradients, stmt.range);
    return;
  }
  if (minimize.accumulate) {
    averageGathered(minimize, use.name, *parameters, gradients, stmt.range);
  }
  passThrough(minimize, use.name, *parameters, gradients, env);
  Tensor update = updateCount(use.name, stmt.range);
  for (size_t i = 0; i < parameters->size(); ++i) {
    PersistentId id = (*parameters)[i];
    const std::string path = program_.persistents[id].path;
    Frame frame;
    frame.kind = Frame::Kind::Optimizer;
    frame.path = use.name + "/" + path;
    frame.optimizer = use.name;
    frame.parameter = path;
    Env inner = env;
    std::vector<Argument> args = {{nullptr, readPersistent(id, stmt.range), stmt.range},
                                  {nullptr, gradients[i], stmt.range},
                                  {nullptr, update, stmt.range}};
    Value value =
        runBody(signature, use.def.decl->body, use.def.scope, use.statics, std::move(args), stmt.range, frame, inner);
    updateWith(id, value, stmt.range);
  }
}

} // namespace dnn::sema
