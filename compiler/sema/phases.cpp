// Phases of a training program, how long each runs, and what can only be checked when all statements are known.
#include "compiler/sema/instantiator.h"
#include "compiler/sema/suggest.h"

#include <algorithm>

namespace dnn::sema {

void Instantiator::runPhase(const ast::Phase& phase, Env& env) {
  for (const plan::Phase& other : program_.plan.phases) {
    if (other.name == phase.name.text) {
      error<DiagId::duplicate_statement>(phase.name.range, "phase `" + phase.name.text + "`");
    }
  }
  phase_ = program_.plan.phases.size();
  program_.plan.phases.emplace_back().name = phase.name.text;
  Env inner = env; // the frame is the program's: instances of all phases have names of their own
  inner.scope = std::make_shared<Scope>(env.scope);
  trainScopes_.push_back(inner.scope);
  Part part{phase.name.text, phase.name.range, false, {}, 0};
  runPart(phase.body, inner, part);
  checkPart(part);
  phase_.reset();
}

void Instantiator::checkPart(const Part& part) {
  auto run = part.single.find("run");
  if (part.phased || tooDeep_) {
    return; // each phase has its own; or not every statement was looked at
  }
  if (part.steps > 0 && run == part.single.end()) {
    error<DiagId::missing_run>(part.range, part.name).hint("write `run epochs = 10, seed = 1`");
  }
  if (run != part.single.end() && part.steps == 0) {
    error<DiagId::missing_step>(run->second, part.name)
        .hint("write `step (x, y) in DATA { minimize LOSS over NET with OPT }`, or leave `run` away");
  }
}

void Instantiator::runRun(const ast::Stmt& stmt, const ast::Run& run, Env& env) {
  plan::Phase& phase = program_.plan.phases[*phase_];
  std::set<std::string> seen;
  const std::vector<std::string> known = {"epochs", "steps", "seed", "patience", "restore", "plateau"};
  for (const ast::Run::Option& option : run.options) {
    const std::string& name = option.name.text;
    if (!seen.insert(name).second) {
      error<DiagId::duplicate_argument>(option.name.range, name);
      continue;
    }
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      error<DiagId::unknown_argument>(option.name.range, "run", name).hint(didYouMean(name, known));
      continue;
    }
    if (option.on && name != "patience" && name != "plateau") {
      error<DiagId::misplaced_on>(option.on->range, name);
      continue;
    }
    if (name == "restore") {
      auto* word = ast::getIf<ast::NameRef>(*option.value);
      if (!word || word->name.text != "best") {
        error<DiagId::wrong_restore>(option.value->range);
      }
      phase.patience.restoreBest = true;
      continue;
    }
    std::optional<int64_t> value = evalStaticInt(*option.value, env, ("`" + name + "`").c_str());
    if (!value) {
      continue;
    }
    bool ofEpochs = name == "patience" || name == "plateau";
    if (*value < (name == "seed" ? 0 : 1) || (ofEpochs && *value > 1000000)) {
      error<DiagId::option_out_of_range>(option.value->range, name, *value, name == "seed" ? 0 : 1);
      continue;
    }
    if (name == "epochs") {
      phase.epochs = static_cast<uint64_t>(*value);
    } else if (name == "steps") {
      phase.steps = static_cast<uint64_t>(*value);
    } else if (name == "seed") {
      if (seed_) {
        error<DiagId::second_seed>(option.name.range).note(*seed_, "the first one is here");
      }
      seed_ = option.name.range;
      program_.plan.seed = static_cast<uint64_t>(*value);
    } else if (!option.on) {
      error<DiagId::patience_without_metric>(option.name.range, name).hint("write `" + name + " = 3 on te.loss`");
    } else if (name == "patience") {
      phase.patience.epochs = static_cast<uint32_t>(*value);
      phase.patience.metric = metricPath(*option.on);
      metrics_.push_back({phase.patience.metric, option.on->range, phase_});
    } else {
      phase.plateau.epochs = static_cast<uint32_t>(*value);
      phase.plateau.metric = metricPath(*option.on);
      metrics_.push_back({phase.plateau.metric, option.on->range, phase_});
      plateaus_[*phase_].rule = option.name.range;
    }
  }
  if (seen.contains("epochs") == seen.contains("steps")) {
    error<DiagId::epochs_or_steps>(stmt.range);
  }
  if (seen.contains("restore") && !seen.contains("patience")) {
    error<DiagId::restore_without_patience>(stmt.range).hint("write `patience = 3 on te.loss, restore = best`");
  }
}

Tensor Instantiator::plateauCount(SourceRange range) {
  PlateauUse& use = plateaus_[phase_.value_or(0)];
  if (!use.read) {
    use.read = range;
    std::string path = "plateaus";
    if (!program_.plan.phases[phase_.value_or(0)].name.empty()) {
      path += "." + program_.plan.phases[phase_.value_or(0)].name;
    }
    use.persistent = declareZero(plan::Persistent::Kind::State, path, {DType::I32, {}, std::nullopt}, range);
    program_.plan.phases[phase_.value_or(0)].plateau.persistent = use.persistent;
  }
  return readPersistent(use.persistent, range);
}

void Instantiator::runInit(const ast::Init& init, Env& env) {
  if (init.path.empty()) {
    error<DiagId::empty_path>(init.pathRange);
  }
  std::optional<std::string> target = selectionPath(*init.target, env);
  if (!target) {
    return;
  }
  parts_.emplace_back(*target, init.target->range);
  plan::InitRule rule{*target, init.path, init.as.value_or(*target)};
  if (phase_) {
    program_.plan.phases[*phase_].inits.push_back(std::move(rule));
  } else {
    sharedInits_.push_back(std::move(rule));
  }
}

void Instantiator::checkMetrics() {
  for (const MetricUse& use : metrics_) {
    std::vector<std::string> known;
    for (size_t phase = 0; phase < program_.plan.phases.size(); ++phase) {
      for (uint32_t number : program_.plan.phases[phase].evals) {
        const plan::Entry& eval = program_.plan.entries[number];
        std::vector<plan::Port> ports = eval.outputs;
        if (!eval.collected.empty()) {
          const std::vector<plan::Port>& whole = program_.plan.entries[number + 1].outputs;
          ports.insert(ports.end(), whole.begin(), whole.end());
        }
        for (const plan::Port& port : ports) {
          if ((!use.phase || *use.phase == phase) && port.dims.empty()) {
            known.push_back(eval.name + "." + port.name);
          }
        }
      }
    }
    bool told = brokenEvals_.contains(use.metric.substr(0, use.metric.find('.')));
    if (!told && std::ranges::find(known, use.metric) == known.end()) {
      std::string near = didYouMean(use.metric, known);
      error<DiagId::unknown_metric>(use.range, use.metric)
          .hint(!near.empty() ? near : "a metric is what an `eval` logs: the data's name, a dot, the log's name");
    }
  }
}

void Instantiator::finishProgram() {
  for (size_t position : openSteps_) {
    finishStep(position);
  }
  plan::Plan& plan = program_.plan;
  for (plan::Phase& phase : plan.phases) {
    phase.evals.insert(phase.evals.begin(), sharedEvals_.begin(), sharedEvals_.end());
  }
  if (!plan.phases.empty()) {
    std::vector<plan::InitRule>& first = plan.phases[0].inits;
    first.insert(first.begin(), sharedInits_.begin(), sharedInits_.end());
  }
  checkMetrics();
  for (auto& [path, range] : parts_) {
    bool any = std::any_of(program_.persistents.begin(), program_.persistents.end(), [&](const Persistent& p) {
      return p.kind != plan::Persistent::Kind::OptimizerState && (p.path == path || p.path.starts_with(path + "."));
    });
    if (!any && !callFailed(path)) {
      error<DiagId::no_parameters>(range, path).hint("an instance has parameters from its first call on");
    }
  }
  for (auto& [phase, use] : plateaus_) {
    if (use.read && !use.rule) {
      error<DiagId::plateau_without_rule>(*use.read).hint("add it to `run`: `run epochs = 10, plateau = 3 on te.loss`");
    } else if (use.rule && !use.read) {
      error<DiagId::plateau_not_read>(*use.rule).hint("a schedule reads it: `sched (t, epoch, plateaus)`");
    }
  }
  keepStarts();
}

void Instantiator::keepStarts() {
  auto changedIn = [&](const plan::Phase& phase, uint32_t persistent) {
    for (const plan::Turn& turn : phase.turns) {
      for (uint32_t entry : turn.cycle) {
        const std::vector<PersistentId>& updates = entries_[entry].updates();
        if (std::find(updates.begin(), updates.end(), persistent) != updates.end()) {
          return true;
        }
      }
    }
    return false;
  };
  plan::Plan& plan = program_.plan;
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (plan.sources[i].kind != plan::Source::Kind::Generate || plan.sources[i].generateEntry >= entries_.size()) {
      continue;
    }
    for (const Statement& stmt : entries_[plan.sources[i].generateEntry].function.body) {
      auto* read = std::get_if<ReadPersistent>(&stmt.node);
      for (size_t phase = 0; read && phase < plan.phases.size(); ++phase) {
        if (!changedIn(plan.phases[phase], read->persistent)) {
          continue;
        }
        if (sources_[i].phase == phase) {
          plan.phases[phase].keepStart = true;
        } else if (!sources_[i].phase) {
          error<DiagId::generated_from_trained>(sources_[i].name.range, sources_[i].name.text,
                                                program_.persistents[read->persistent].path)
              .hint("move it into the phase that uses it: there it is made when the phase begins");
          return;
        }
      }
    }
  }
}

} // namespace dnn::sema
