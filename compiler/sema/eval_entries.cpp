// `eval`, and its block over the whole set.
#include "compiler/sema/entries.h"
#include "compiler/sema/instantiator.h"

#include <algorithm>

namespace dnn::sema {

void Instantiator::runEval(const ast::Stmt& stmt, const ast::Eval& eval, Env& env) {
  std::vector<uint32_t>& evals = phase_ ? program_.plan.phases[*phase_].evals : sharedEvals_;
  for (const std::vector<uint32_t>* known : {&evals, &sharedEvals_}) {
    for (uint32_t number : *known) {
      if (program_.plan.entries[number].name == eval.source.text) {
        error<DiagId::duplicate_statement>(stmt.range, "eval of `" + eval.source.text + "`");
        return;
      }
    }
  }
  size_t position = entries_.size();
  evals.push_back(static_cast<uint32_t>(position));
  std::string phase = phase_ ? program_.plan.phases[*phase_].name : "";
  std::string path = (phase.empty() ? "eval." : "eval." + phase + ".") + eval.source.text;
  beginEntry(plan::Entry::Kind::Eval, path, eval.source.text);
  whole_.reset();
  EntryBody body(env, path);
  Env& inner = body.env;
  bindFields(eval.fields, eval.source, inner);
  if (std::optional<plan::Every> every = everyOf(eval.every, env)) {
    program_.plan.entries[position].every = *every;
  }
  runBlock(eval.body, inner);
  endEntry(position);
  if (whole_) {
    finishWhole(position, env);
  }
}

void Instantiator::runWhole(const ast::Stmt& stmt, const ast::Whole& whole, Env& env) {
  if (whole_) {
    error<DiagId::duplicate_statement>(stmt.range, "whole").note(whole_->range, "the first one is here");
    return;
  }
  plan::Entry& entry = program_.plan.entries[entries_.size() - 1];
  WholeUse use{&whole, stmt.range, {}};
  bool ok = true;
  for (const ast::Name& name : whole.values) {
    std::optional<Tensor> t = toTensor(evalName(name, env), name.range);
    bool rows = t && !t->type.dims.empty() && t->type.dims[0] == Dim::symbol(0) && !out_->function.symbols.empty() &&
                std::all_of(t->type.dims.begin() + 1, t->type.dims.end(), [](const Dim& d) { return d.isStatic(); });
    if (t && !rows) {
      error<DiagId::not_per_example>(name.range, name.text, str(t->type));
    }
    ok = ok && rows;
    if (rows) {
      VarId var = store(*t, name.text, name.range);
      std::string port = "whole." + name.text;
      out_->emit(name.range, Output{port, var});
      entry.collected.push_back(portOf(port, out_->type(var), out_->symbols()));
      use.types.push_back(out_->type(var));
    }
  }
  if (ok) {
    whole_ = std::move(use);
  } else {
    brokenEvals_.insert(entry.name);
  }
}

void Instantiator::finishWhole(size_t evalPosition, Env& env) {
  const WholeUse use = *whole_;
  const plan::Entry eval = program_.plan.entries[evalPosition];
  const Binding* b = env.scope->find(eval.name);
  std::optional<int64_t> count = exampleCount(b->value.as<SourceRef>()->source, use.range);
  if (!count) {
    return;
  }
  size_t position = entries_.size();
  std::string path = "whole" + entries_[evalPosition].function.name.substr(std::string_view("eval").size());
  beginEntry(plan::Entry::Kind::Whole, path, eval.name);
  program_.plan.entries[position].batch = *count;
  out_->function.symbols = {{"N", *count}};
  EntryBody body(env, path);
  Env& inner = body.env;
  inner.scope->bind("N", StaticInt{Dim::symbol(0)}, use.range);
  for (size_t i = 0; i < use.types.size(); ++i) {
    const ast::Name& name = use.whole->values[i];
    VarId var = out_->addVar(name.text, use.types[i]);
    out_->function.inputs.push_back({var, eval.collected[i].name});
    program_.plan.entries[position].inputs.push_back(portOf(eval.collected[i].name, use.types[i], out_->symbols()));
    inner.scope->bind(name.text, variable(var), name.range);
  }
  runBlock(use.whole->body, inner);
  for (const plan::Port& port : program_.plan.entries[position].outputs) {
    bool twice = std::any_of(eval.outputs.begin(), eval.outputs.end(), [&](auto& p) { return p.name == port.name; });
    if (twice) {
      error<DiagId::duplicate_log>(use.range, port.name);
    }
  }
  endEntry(position);
}

} // namespace dnn::sema
