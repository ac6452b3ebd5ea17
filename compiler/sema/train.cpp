// The train block: instances, optimizers, data, entry points, and how to run them.
#include "compiler/sema/entries.h"
#include "compiler/sema/instantiator.h"
#include "compiler/sema/suggest.h"

#include <algorithm>

namespace dnn::sema {

ScopePtr Instantiator::fileScope(const std::vector<const ast::File*>& files, ScopePtr parent) {
  ScopePtr scope = std::make_shared<Scope>(std::move(parent));
  for (const ast::File* file : files) {
    for (const auto& decl : file->decls) {
      if (auto* fn = std::get_if<ast::FnDecl>(&decl->node)) {
        scope->bind(fn->signature.name.text, FnValue{fn, scope, !fn->signature.hasStatics, nullptr},
                    fn->signature.name.range);
      } else if (auto* layer = std::get_if<ast::LayerDecl>(&decl->node)) {
        scope->bind(layer->signature.name.text, LayerDef{layer, scope}, layer->signature.name.range);
      } else if (auto* optimizer = std::get_if<ast::OptimizerDecl>(&decl->node)) {
        scope->bind(optimizer->signature.name.text, OptimizerDef{optimizer, scope}, optimizer->signature.name.range);
      } else if (auto* constant = std::get_if<ast::ConstDecl>(&decl->node)) {
        scope->bind(constant->name.text, ConstRef{constant, scope.get()}, constant->name.range);
      }
    }
  }
  fileScopes_.push_back(scope);
  return scope;
}

Instantiator::~Instantiator() {
  // Definitions hold the scope that holds them.
  for (const ScopePtr& scope : fileScopes_) {
    scope->clear();
  }
  for (const ScopePtr& scope : trainScopes_) {
    scope->clear();
  }
}

void Instantiator::checkConstants(const ScopePtr& scope) {
  out_ = &train_;
  Frame frame;
  Env env;
  env.scope = scope;
  env.frame = &frame;
  for (auto& [name, binding] : scope->names()) {
    if (binding.value.as<ConstRef>()) {
      evalName({name, binding.where}, env);
    }
  }
}

std::optional<Program> Instantiator::instantiate(const ast::TrainDecl& train, const ScopePtr& scope) {
  entries_.emplace_back();
  entries_[0].function.name = "init";
  entries_[0].function.kind = plan::Entry::Kind::Init;
  plan::Entry init;
  init.kind = plan::Entry::Kind::Init;
  init.name = "init";
  program_.plan.entries.push_back(std::move(init));
  program_.plan.program = train.name.text;
  out_ = &train_;

  EntryBody body(Env{scope}, train.name.text);
  Env& env = body.env;
  trainScopes_.push_back(env.scope);
  runTrain(train, env);
  checkSizes(entries_[0], entries_[0].function.body);
  if (diags_.hasErrors()) {
    return std::nullopt;
  }

  entries_[0].finish();
  for (FunctionBuilder& entry : entries_) {
    program_.functions.push_back(std::move(entry.function));
  }
  for (const Persistent& p : program_.persistents) {
    plan::Persistent out;
    out.kind = p.kind;
    out.path = p.path;
    out.dtype = p.type.dtype;
    for (const Dim& d : p.type.dims) {
      out.dims.push_back(d.constant());
    }
    out.follows = p.follows.value_or(plan::Persistent::kNone);
    program_.plan.persistents.push_back(std::move(out));
  }
  return std::move(program_);
}

void Instantiator::runTrain(const ast::TrainDecl& train, Env& env) {
  bool phased = std::any_of(train.body.stmts.begin(), train.body.stmts.end(),
                            [](const ast::StmtPtr& stmt) { return std::get_if<ast::Phase>(&stmt->node) != nullptr; });
  everyStepUpdates_ = !phased && updatesInEveryStep(train.body);
  Part part{train.name.text, train.name.range, phased, {}, 0};
  phase_.reset();
  if (!phased) {
    phase_ = 0;
    program_.plan.phases.emplace_back();
  }
  runPart(train.body, env, part);
  if (options_.seed) {
    program_.plan.seed = *options_.seed;
  }
  checkPart(part);
  finishProgram();
}

void Instantiator::runPart(const ast::Block& body, Env& env, Part& part) {
  auto once = [&](const std::string& what, SourceRange range) {
    auto [known, inserted] = part.single.emplace(what, range);
    if (!inserted) {
      error<DiagId::duplicate_statement>(range, what).note(known->second, "the first one is here");
    }
    return inserted;
  };
  auto inPhase = [&](const char* what, SourceRange range) {
    if (part.phased) {
      error<DiagId::beside_phases>(range, what).hint("move it into one of the phases");
    }
    return !part.phased;
  };
  for (const ast::StmtPtr& stmt : body.stmts) {
    if (tooDeep_) {
      return;
    }
    env.frame->statement.clear();
    const ast::Stmt::Node& node = stmt->node;
    if (auto* let = std::get_if<ast::Let>(&node)) {
      runTrainLet(*stmt, *let, env);
    } else if (auto* constant = std::get_if<ast::Const>(&node)) {
      Value value = eval(*constant->value, env);
      env.scope->bind(constant->name.text, std::move(value), constant->name.range);
    } else if (auto* require = std::get_if<ast::Require>(&node)) {
      runRequire(*stmt, *require, env);
    } else if (auto* data = std::get_if<ast::Data>(&node)) {
      runData(*data, env);
    } else if (auto* opt = std::get_if<ast::Opt>(&node)) {
      runOpt(*opt, env);
    } else if (auto* local = std::get_if<ast::LocalFn>(&node)) {
      const ast::Signature& signature = local->fn->signature;
      env.scope->bind(signature.name.text, FnValue{local->fn.get(), env.scope, !signature.hasStatics, nullptr},
                      signature.name.range);
    } else if (auto* step = std::get_if<ast::Step>(&node)) {
      ++part.steps;
      if (inPhase("step", stmt->range)) {
        runStep(*stmt, *step, env);
      }
    } else if (auto* eval = std::get_if<ast::Eval>(&node)) {
      runEval(*stmt, *eval, env);
    } else if (auto* predict = std::get_if<ast::Predict>(&node)) {
      runPredict(*stmt, *predict, env);
    } else if (auto* track = std::get_if<ast::Track>(&node)) {
      runTrack(*stmt, *track, env);
    } else if (auto* init = std::get_if<ast::Init>(&node)) {
      runInit(*init, env);
    } else if (auto* sweep = std::get_if<ast::Sweep>(&node)) {
      if (once("sweep", stmt->range)) {
        runSweep(*sweep, env);
      }
    } else if (auto* phase = std::get_if<ast::Phase>(&node)) {
      runPhase(*phase, env);
    } else if (auto* run = std::get_if<ast::Run>(&node)) {
      if (once("run", stmt->range) && inPhase("run", stmt->range)) {
        runRun(*stmt, *run, env);
      }
    } else if (auto* checkpoint = std::get_if<ast::Checkpoint>(&node)) {
      if (checkpoint->of || once("checkpoint", stmt->range)) {
        runCheckpoint(*checkpoint, env);
      }
    } else {
      unsupported(stmt->range, "this statement in a train block");
    }
  }
}

void Instantiator::runTrainLet(const ast::Stmt& stmt, const ast::Let& let, Env& env) {
  env.frame->statement = let.names[0].text;
  if (let.indexed || let.each) {
    error<DiagId::tensor_outside_entry>(stmt.range).hint("move it into `step`, `eval` or `predict`");
    for (const ast::Name& name : let.names) {
      env.scope->bind(name.text, Poison{}, name.range);
    }
    return;
  }
  size_t before = train_.function.body.size();
  Value value = eval(*let.value, env);
  if (value.as<Tensor>() || train_.function.body.size() != before) {
    error<DiagId::tensor_outside_entry>(stmt.range).hint("move it into `step`, `eval` or `predict`");
    value = Poison{};
  }
  auto* tuple = value.as<TupleValue>();
  if (let.names.size() > 1 && !value.poisoned() && (!tuple || tuple->items.size() != let.names.size())) {
    error<DiagId::tuple_mismatch>(let.value->range, counted(let.names.size(), "name"), describe(value));
    tuple = nullptr;
    value = Poison{};
  }
  for (size_t i = 0; i < let.names.size(); ++i) {
    Value item = let.names.size() == 1 ? value : tuple ? tuple->items[i] : Value();
    env.scope->bind(let.names[i].text, nameInstances(std::move(item), let.names[i], env), let.names[i].range);
  }
}

void Instantiator::runOpt(const ast::Opt& opt, Env& env) {
  if (const Binding* known = env.scope->findHere(opt.name.text); known && known->value.as<OptimizerPtr>()) {
    // States are named after the optimizer.
    error<DiagId::duplicate_name>(opt.name.range, opt.name.text).note(known->where, "the first one is here");
    return;
  }
  Value value = eval(*opt.value, env);
  auto* use = value.as<OptimizerPtr>();
  if (!use) {
    if (!value.poisoned()) {
      auto report = error<DiagId::not_an_optimizer>(opt.value->range, ast::print(*opt.value), describe(value));
      if (auto* def = value.as<OptimizerDef>()) {
        report.hint("apply its statics: `" + def->decl->signature.name.text + "(…)`");
      }
    }
    env.scope->bind(opt.name.text, Poison{}, opt.name.range);
    return;
  }
  if (!(*use)->name.empty()) {
    env.scope->bind(opt.name.text, *use, opt.name.range);
    return;
  }
  OptimizerUse named = **use;
  named.name = opt.name.text;
  env.scope->bind(opt.name.text, OptimizerPtr(std::make_shared<OptimizerUse>(std::move(named))), opt.name.range);
}

void Instantiator::runCheckpoint(const ast::Checkpoint& checkpoint, Env& env) {
  if (checkpoint.path.empty()) {
    error<DiagId::empty_path>(checkpoint.pathRange);
  }
  std::optional<plan::Every> every = everyOf(checkpoint.every, env);
  if (checkpoint.of) {
    std::optional<std::string> part = selectionPath(*checkpoint.of, env);
    if (checkpoint.best) {
      error<DiagId::best_of_part>(checkpoint.best->range);
    }
    if (part && every) {
      parts_.emplace_back(*part, checkpoint.of->range);
      program_.plan.parts.push_back({checkpoint.path, *part, *every});
    }
    return;
  }
  plan::CheckpointRule& rule = program_.plan.checkpoint;
  rule.path = checkpoint.path;
  rule.every = every.value_or(plan::Every{});
  if (checkpoint.best) {
    rule.best = metricPath(*checkpoint.best);
    std::string last = rule.best.substr(rule.best.rfind('.') + 1);
    rule.bestIsLargest = last != "loss" && last != "error";
    metrics_.push_back({rule.best, checkpoint.best->range, std::nullopt});
  }
}

std::string Instantiator::metricPath(const ast::Expr& e) {
  auto* member = ast::getIf<ast::Member>(e);
  auto* base = member ? ast::getIf<ast::NameRef>(*member->base) : nullptr;
  return base ? base->name.text + "." + member->name.text : ast::print(e);
}

} // namespace dnn::sema
