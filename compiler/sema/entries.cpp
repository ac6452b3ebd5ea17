// Entry points: step, eval and predict become functions of the program.
#include "compiler/sema/entries.h"

#include "compiler/sema/instantiator.h"
#include "compiler/sema/suggest.h"

#include <algorithm>

namespace dnn::sema {

plan::Port portOf(const std::string& name, const TensorType& type, std::span<const Symbol> symbols) {
  plan::Port port;
  port.name = name;
  port.dtype = type.dtype;
  for (size_t i = 0; i < type.dims.size(); ++i) {
    const Dim& dim = type.dims[i];
    if (i == 0 && dim.dependsOn(0)) {
      port.batched = true;
      continue;
    }
    if (!dim.isStatic()) {
      plan::VaryingExtent extent{static_cast<uint32_t>(port.dims.size()), dim.constant(), {}};
      for (auto [symbol, factor] : dim.terms()) {
        extent.terms.push_back({symbol, factor});
      }
      port.varying.push_back(std::move(extent));
    }
    port.dims.push_back(dim.max(symbols));
  }
  if (type.bound) {
    port.bound = type.bound->max(symbols);
    auto terms = type.bound->terms();
    bool length =
        terms.size() == 1 && terms.begin()->first > 0 && *type.bound == Dim::symbol(terms.begin()->first) + Dim(1);
    port.lengthOf = length && port.batched && port.dims.empty() ? terms.begin()->first : 0;
  }
  return port;
}

namespace {

constexpr SymbolId kBatch = 0;

/// Is every row of the results made from the same row of the inputs? Then a set may be cut into batches anywhere.
class Rowwise {
public:
  Rowwise(const Function& function, const std::vector<Function>& helpers) : function_(function), helpers_(helpers) {}

  bool check() { return check(function_.body); }

private:
  bool check(const std::vector<Statement>& body) {
    for (const Statement& stmt : body) {
      if (auto* let = std::get_if<Let>(&stmt.node)) {
        row_.reset();
        seen_.clear();
        for (size_t i = 0; i < let->indices.size(); ++i) {
          if (function_.indices[let->indices[i]].extent.dependsOn(kBatch)) {
            if (row_) {
              return false;
            }
            row_ = let->indices[i];
          }
        }
        if (!expression(let->value)) {
          return false;
        }
      } else if (auto* reshape = std::get_if<Reshape>(&stmt.node)) {
        auto& from = function_.vars[reshape->from].type.dims;
        auto& to = function_.vars[reshape->var].type.dims;
        bool batched = std::any_of(from.begin(), from.end(), [](const Dim& d) { return d.dependsOn(kBatch); });
        if (batched && (!from[0].dependsOn(kBatch) || to.empty() || from[0] != to[0])) {
          return false;
        }
      } else if (auto* concat = std::get_if<Concat>(&stmt.node)) {
        if (function_.vars[concat->var].type.dims[concat->axis].dependsOn(kBatch)) {
          return false;
        }
      } else if (auto* scan = std::get_if<Scan>(&stmt.node)) {
        if (scan->extent.dependsOn(kBatch) || !check(scan->body)) {
          return false;
        }
      } else if (auto* output = std::get_if<Output>(&stmt.node)) {
        auto& dims = function_.vars[output->value].type.dims;
        if (std::any_of(dims.begin(), dims.end(),
                        [&](const Dim& d) { return d.dependsOn(kBatch) && &d != &dims[0]; })) {
          return false;
        }
      } else if (auto* call = std::get_if<CallVjp>(&stmt.node)) {
        if (!Rowwise(helpers_[call->primal], helpers_).check()) {
          return false;
        }
      } else if (std::get_if<Grad>(&stmt.node)) {
        return false; // a loss joins all rows
      }
    }
    return true;
  }

  const Function& function_;
  const std::vector<Function>& helpers_;
  std::optional<IndexId> row_;
  std::set<const Scalar*> seen_;

  bool expression(const ScalarPtr& s) {
    if (auto* extent = std::get_if<ExtentRef>(&s->node)) {
      return !extent->extent.dependsOn(kBatch);
    }
    if (auto* index = std::get_if<IndexRef>(&s->node)) {
      return index->index != row_;
    }
    if (auto* access = std::get_if<Access>(&s->node)) {
      auto& dims = function_.vars[access->var].type.dims;
      for (size_t i = 0; i < dims.size(); ++i) {
        auto* index = std::get_if<IndexRef>(&access->subscripts[i]->node);
        bool isRow = index && row_ && index->index == *row_;
        if (dims[i].dependsOn(kBatch) ? !isRow : !expression(access->subscripts[i])) {
          return false;
        }
      }
      return true;
    }
    if (auto* reduce = std::get_if<Reduce>(&s->node)) {
      for (IndexId index : reduce->indices) {
        if (function_.indices[index].extent.dependsOn(kBatch)) {
          return false;
        }
      }
    }
    if (!seen_.insert(s.get()).second) {
      return true; // looked at before, within this let
    }
    bool ok = true;
    forEachChild(*s, [&](const ScalarPtr& child) { ok = ok && expression(child); });
    return ok;
  }
};

/// [H, W], [H, W, 1 or 3], [K, H, W], [K, H, W, 1 or 3]: as the runtime reads them.
bool isPicture(const TensorType& type) {
  size_t rank = type.rank();
  bool channels = rank > 2 && (type.dims.back() == Dim(1) || type.dims.back() == Dim(3));
  return rank == 2 || rank == 3 || (rank == 4 && channels);
}

} // namespace

FunctionBuilder& Instantiator::beginEntry(plan::Entry::Kind kind, const std::string& function,
                                          const std::string& name) {
  FunctionBuilder& entry = entries_.emplace_back();
  entry.function.name = function;
  entry.function.kind = kind;
  plan::Entry plan;
  plan.kind = kind;
  plan.name = name;
  program_.plan.entries.push_back(std::move(plan));
  out_ = &entry;
  return entry;
}

void Instantiator::checkSizes(const FunctionBuilder& function, const std::vector<Statement>& body) {
  auto check = [&](VarId var, SourceRange range) {
    int64_t count = 1;
    for (const Dim& d : function.type(var).dims) {
      if (__builtin_mul_overflow(count, d.max(function.symbols()), &count) || count > INT32_MAX) {
        error<DiagId::tensor_too_large>(range, function.function.vars[var].name,
                                        function.type(var).str(function.symbols()));
        break;
      }
    }
  };
  for (const Statement& stmt : body) {
    if (auto* let = std::get_if<Let>(&stmt.node)) {
      check(let->var, stmt.range);
    } else if (auto* read = std::get_if<ReadPersistent>(&stmt.node)) {
      check(read->var, stmt.range);
    } else if (auto* scan = std::get_if<Scan>(&stmt.node)) {
      checkSizes(function, scan->body);
      for (const Scan::Emit& emit : scan->emits) {
        check(emit.stacked, stmt.range);
      }
    }
  }
}

void Instantiator::endEntry(size_t position) {
  FunctionBuilder& entry = entries_[position];
  checkSizes(entry, entry.function.body);
  entry.finish();
  plan::Entry& plan = program_.plan.entries[position];
  for (PersistentId id : entry.updates()) {
    if (program_.persistents[id].kind == plan::Persistent::Kind::Parameter) {
      plan.watchedPersistents.push_back(id);
    }
  }
  std::sort(plan.watchedPersistents.begin(), plan.watchedPersistents.end());
  uint32_t at = 0;
  for (const Statement& stmt : entry.function.body) {
    if (auto* output = std::get_if<Output>(&stmt.node)) {
      if (minimised_[position].contains(output->value)) {
        plan.watchedOutputs.push_back(at);
      }
      ++at;
    }
  }
  out_ = &train_;
}

bool Instantiator::bindFields(const std::vector<ast::Name>& fields, const ast::Name& name, Env& env) {
  bool ok = checkFields(fields, name, env);
  for (const ast::Name& field : fields) {
    if (!ok) {
      env.scope->bind(field.text, Poison{}, field.range);
    }
  }
  return ok;
}

bool Instantiator::checkFields(const std::vector<ast::Name>& fields, const ast::Name& name, Env& env) {
  const Binding* b = env.scope->find(name.text);
  auto* ref = b ? b->value.as<SourceRef>() : nullptr;
  if (!ref) {
    if (!b || !b->value.poisoned()) {
      std::vector<std::string> names;
      for (const Source& s : sources_) {
        names.push_back(s.name.text);
      }
      error<DiagId::not_a_data_source>(name.range, name.text).hint(didYouMean(name.text, names));
    }
    return false;
  }
  const Source& source = sources_[ref->source];
  const plan::Source& plan = program_.plan.sources[ref->source];
  plan::Entry& entry = program_.plan.entries.back();
  bool first = entry.sources.empty();
  if (first) {
    entry.batch = plan.batch;
    out_->function.symbols = {{"N", plan.batch}};
    env.scope->bind("N", StaticInt{Dim::symbol(0)}, name.range);
  } else if (plan.batch != entry.batch) {
    error<DiagId::batches_differ>(name.range, name.text, plan.batch, entry.sources[0], entry.batch)
        .hint(
            "sources that are read together give equally many examples; read them in steps of their own to take turns");
    return false;
  }
  for (const std::string& other : entry.sources) {
    if (other == name.text) {
      error<DiagId::duplicate_name>(name.range, name.text).note(source.name.range, "the source is declared here");
      return false;
    }
  }
  entry.sources.push_back(name.text);
  if (source.failed) {
    return false;
  }
  if (fields.size() != source.rows.size()) {
    error<DiagId::field_count>(name.range, name.text, counted(source.rows.size(), "field"), fields.size())
        .note(source.name.range, "`" + name.text + "` is declared here");
    return false;
  }
  // A source's own length is symbol 1 in its rows; here it has the next number, and a name.
  auto length = static_cast<SymbolId>(out_->function.symbols.size());
  if (plan.maxLength > 0) {
    std::string symbol = length == 1 ? "T" : "T" + std::to_string(length);
    out_->function.symbols.push_back({symbol, plan.maxLength});
    entry.lengths.push_back(plan.maxLength);
    env.scope->bind(symbol, StaticInt{Dim::symbol(length)}, name.range);
  }
  for (size_t i = 0; i < fields.size(); ++i) {
    TensorType type = source.rows[i];
    for (Dim& dim : type.dims) {
      dim = dim.renamed(1, length);
    }
    if (type.bound) {
      type.bound = type.bound->renamed(1, length);
    }
    type.dims.insert(type.dims.begin(), Dim::symbol(0));
    VarId var = out_->addVar(fields[i].text, type);
    std::string input = (first ? "" : name.text + ".") + plan.fields[i].name;
    out_->function.inputs.push_back({var, input});
    entry.inputs.push_back(portOf(input, type, out_->symbols()));
    env.scope->bind(fields[i].text, variable(var), fields[i].range);
  }
  return true;
}

std::optional<plan::Every> Instantiator::everyOf(const std::optional<ast::Every>& every, Env& env) {
  plan::Every rhythm;
  if (!every) {
    return rhythm;
  }
  rhythm.steps = every->unit == ast::Every::Unit::Step;
  if (!every->count) {
    return rhythm;
  }
  std::optional<int64_t> count =
      evalStaticInt(*every->count, env, rhythm.steps ? "the number of steps" : "the number of epochs");
  if (count && (*count < 1 || *count > 1000000000)) {
    error<DiagId::option_out_of_range>(every->count->range, "every", *count, 1);
    return std::nullopt;
  }
  rhythm.count = static_cast<uint32_t>(count.value_or(1));
  return count ? std::optional(rhythm) : std::nullopt;
}

void Instantiator::runStep(const ast::Stmt& stmt, const ast::Step& step, Env& env) {
  std::optional<std::vector<Rhythm>> rhythms = rhythmsOf(step.body, env);
  std::optional<int64_t> cycle = rhythms ? cycleOf(*rhythms) : std::nullopt;
  if (!cycle) {
    rhythms.emplace();
    cycle = 1;
  }
  plan::Phase& phase = program_.plan.phases[*phase_];
  size_t number = phase.turns.size() + 1;
  std::string path = phase.name.empty() ? "step" : "step." + phase.name;
  path += number > 1 ? "." + std::to_string(number) : "";
  std::map<std::vector<Mode>, uint32_t> made;
  plan::Turn turn;
  turn.cycle.resize(static_cast<size_t>(*cycle));
  // The last turn is the one in which every `minimize` updates: what is wrong is reported there, once.
  for (int64_t i = 0; i < *cycle; ++i) {
    int64_t at = (i + *cycle - 1) % *cycle;
    std::vector<Mode> modes;
    modes_.clear();
    for (const Rhythm& rhythm : *rhythms) {
      modes.push_back(rhythm.at(at));
      modes_[rhythm.minimize] = modes.back();
    }
    auto [known, inserted] = made.try_emplace(std::move(modes), 0);
    if (inserted) {
      constexpr size_t most = 64;
      if (made.size() > most) {
        error<DiagId::cycle_too_long>(stmt.range, most);
        break;
      }
      std::string function = path;
      if (made.size() > 1) {
        function += (number > 1 ? "." : ".1.") + std::to_string(made.size());
      }
      known->second = makeStep(stmt, step, function, path, env);
    }
    turn.cycle[static_cast<size_t>(at)] = known->second;
    if (diags_.hasErrors()) {
      std::fill(turn.cycle.begin(), turn.cycle.end(), turn.cycle.back());
      break;
    }
  }
  modes_.clear();
  program_.plan.phases[*phase_].turns.push_back(std::move(turn));
}

uint32_t Instantiator::makeStep(const ast::Stmt& stmt, const ast::Step& step, const std::string& function,
                                const std::string& path, Env& env) {
  size_t position = entries_.size();
  beginEntry(plan::Entry::Kind::Step, function, "step");
  training_ = true;
  Env inner = env;
  inner.scope = std::make_shared<Scope>(env.scope);
  Frame frame;
  frame.kind = Frame::Kind::Entry;
  frame.path = path;
  inner.frame = &frame;
  for (const ast::Step::Read& read : step.reads) {
    bindFields(read.fields, read.source, inner);
  }
  runBlock(step.body, inner);
  bool rests = std::any_of(modes_.begin(), modes_.end(), [](auto& mode) { return mode.second == Mode::Rest; });
  if (entries_[position].updates().empty() && !rests && !diags_.hasErrors()) {
    error<DiagId::step_without_minimize>(stmt.range).hint("write `minimize loss over net with o`");
  }
  training_ = false;
  out_ = &train_;
  openSteps_.push_back(position);
  return static_cast<uint32_t>(position);
}

void Instantiator::finishStep(size_t position) {
  out_ = &entries_[position];
  training_ = true;
  updateFollowers();
  training_ = false;
  endEntry(position);
}

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
  Env inner = env;
  inner.scope = std::make_shared<Scope>(env.scope);
  Frame frame;
  frame.kind = Frame::Kind::Entry;
  frame.path = path;
  inner.frame = &frame;
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
  Env inner = env;
  inner.scope = std::make_shared<Scope>(env.scope);
  Frame frame;
  frame.kind = Frame::Kind::Entry;
  frame.path = path;
  inner.frame = &frame;
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

std::string Instantiator::textOf(const ast::Type& type, Env& env) {
  auto* tensor = std::get_if<ast::TensorType>(&type.node);
  auto* member = tensor && tensor->bound ? ast::getIf<ast::Member>(*tensor->bound) : nullptr;
  auto* base = member ? ast::getIf<ast::NameRef>(*member->base) : nullptr;
  const Binding* b = base ? env.scope->find(base->name.text) : nullptr;
  auto* ref = b ? b->value.as<SourceRef>() : nullptr;
  return ref && member->name.text == "vocab" ? program_.plan.sources[ref->source].name : "";
}

void Instantiator::runPredict(const ast::Stmt& stmt, const ast::Predict& predict, Env& env) {
  for (const plan::Entry& entry : program_.plan.entries) {
    if (entry.kind == plan::Entry::Kind::Predict && entry.name == predict.name.text) {
      error<DiagId::duplicate_statement>(stmt.range, "predict `" + predict.name.text + "`");
      return;
    }
  }
  size_t position = entries_.size();
  beginEntry(plan::Entry::Kind::Predict, "predict." + predict.name.text, predict.name.text);
  Env inner = env;
  inner.scope = std::make_shared<Scope>(env.scope);
  Frame frame;
  frame.kind = Frame::Kind::Entry;
  frame.path = "predict." + predict.name.text;
  inner.frame = &frame;

  // The batch of a prediction is as large as the largest of the program's data.
  constexpr int64_t kDefaultBatch = 64;
  int64_t batch = 0;
  for (const plan::Source& source : program_.plan.sources) {
    batch = std::max(batch, source.batch);
  }
  batch = batch == 0 ? kDefaultBatch : batch;
  bool ok = true;
  std::map<std::string, int64_t> limits;
  for (const ast::Predict::Limit& limit : predict.limits) {
    constexpr int64_t most = 1 << 24;
    std::optional<int64_t> value = evalOption(*limit.most, inner, limit.dim.text.c_str(), 1, most);
    ok &= value.has_value();
    if (!limits.try_emplace(limit.dim.text, value.value_or(1)).second || inner.scope->find(limit.dim.text)) {
      error<DiagId::duplicate_name>(limit.dim.range, limit.dim.text);
      ok = false;
    }
  }
  for (const ast::ParamDecl& param : predict.params) {
    // The first dimension may be a name that nothing else has: the batch.
    auto* type = std::get_if<ast::TensorType>(&param.type->node);
    auto* first = type && !type->dims.empty() ? ast::getIf<ast::NameRef>(*type->dims[0]) : nullptr;
    bool length = first && limits.contains(first->name.text) && !out_->function.symbols.empty();
    if (first && !length && !inner.scope->find(first->name.text)) {
      if (auto limit = limits.find(first->name.text); limit != limits.end()) {
        batch = limit->second;
      }
      if (!out_->function.symbols.empty()) {
        error<DiagId::second_batch>(first->name.range, first->name.text, out_->function.symbols[0].name);
        ok = false;
      } else {
        out_->function.symbols = {{first->name.text, batch}};
        program_.plan.entries[position].batch = batch;
      }
      inner.scope->bind(first->name.text, StaticInt{Dim::symbol(0)}, first->name.range);
    }
    for (size_t i = 0; type && i < type->dims.size(); ++i) {
      auto* ref = ast::getIf<ast::NameRef>(*type->dims[i]);
      if (!ref || inner.scope->find(ref->name.text)) {
        continue;
      }
      auto limit = limits.find(ref->name.text);
      if (limit != limits.end() && !out_->function.symbols.empty()) {
        auto symbol = static_cast<SymbolId>(out_->function.symbols.size());
        out_->function.symbols.push_back({ref->name.text, limit->second});
        program_.plan.entries[position].lengths.push_back(limit->second);
        inner.scope->bind(ref->name.text, StaticInt{Dim::symbol(symbol)}, ref->name.range);
      } else if (i > 0) {
        error<DiagId::open_dimension>(ref->name.range, ref->name.text)
            .hint("write `where " + ref->name.text + " <= 128` behind the result");
        inner.scope->bind(ref->name.text, Poison{}, ref->name.range);
        ok = false;
      }
    }
    std::optional<TensorType> known = evalType(*param.type, inner);
    if (!known) {
      ok = false;
      inner.scope->bind(param.name.text, Poison{}, param.name.range);
      continue;
    }
    VarId var = out_->addVar(param.name.text, *known);
    out_->function.inputs.push_back({var, param.name.text});
    program_.plan.entries[position].inputs.push_back(portOf(param.name.text, *known, out_->symbols()));
    program_.plan.entries[position].inputs.back().text = textOf(*param.type, inner);
    inner.scope->bind(param.name.text, variable(var), param.name.range);
  }
  for (const ast::Predict::Limit& limit : predict.limits) {
    if (ok && !inner.scope->find(limit.dim.text)) {
      error<DiagId::limit_of_nothing>(limit.dim.range, limit.dim.text);
      ok = false;
    }
  }
  std::optional<Value> result = runBlock(predict.body, inner);
  if (!result && frame.failed) {
    ok = false;
  } else if (!result) {
    error<DiagId::missing_return>(predict.name.range, predict.name.text);
  } else if (ok && matchType(*predict.result, *result, returnRange_, inner, {},
                             "the result of `" + predict.name.text + "`")) {
    auto* tuple = result->as<TupleValue>();
    std::vector<Value> items = tuple ? tuple->items : std::vector<Value>{*result};
    for (size_t i = 0; i < items.size(); ++i) {
      std::string name = predict.name.text + (items.size() == 1 ? "" : "." + std::to_string(i));
      std::optional<Tensor> t = toTensor(items[i], returnRange_);
      if (!t) {
        continue;
      }
      VarId var = store(*t, name, returnRange_);
      out_->emit(stmt.range, Output{name, var});
      program_.plan.entries[position].outputs.push_back(portOf(name, out_->type(var), out_->symbols()));
      auto* types = std::get_if<ast::TupleType>(&predict.result->node);
      program_.plan.entries[position].outputs.back().text = textOf(types ? *types->items[i] : *predict.result, inner);
    }
  }
  program_.plan.entries[position].rowwise = Rowwise(out_->function, program_.helpers).check();
  endEntry(position);
}

void Instantiator::runLog(const ast::Log& log, Env& env) {
  plan::Entry& entry = program_.plan.entries[entries_.size() - 1];
  std::optional<plan::Every> every = everyOf(log.every, env);
  if (log.every && entry.kind != plan::Entry::Kind::Step) {
    error<DiagId::misplaced_log_rhythm>(log.every->range);
  }
  for (const ast::Log::Entry& item : log.entries) {
    env.frame->statement = "log " + item.name.text;
    std::optional<Tensor> t = evalTensor(*item.value, env);
    if (!t) {
      continue;
    }
    bool fixed = std::all_of(t->type.dims.begin(), t->type.dims.end(), [](const Dim& d) { return d.isStatic(); });
    if (!fixed) {
      error<DiagId::log_of_batch>(item.value->range, item.name.text, str(t->type))
          .hint("reduce it, for instance with `mean(…)`");
      continue;
    }
    if (item.image && !isPicture(t->type)) {
      error<DiagId::log_not_image>(item.value->range, item.name.text, str(t->type));
      continue;
    }
    // All steps of a phase log to one place.
    bool known = false;
    for (const plan::Port& port : entry.outputs) {
      known = known || port.name == item.name.text;
    }
    if (entry.kind == plan::Entry::Kind::Step) {
      for (const plan::Turn& turn : program_.plan.phases[*phase_].turns) {
        for (const plan::Port& port : program_.plan.entries[turn.cycle[0]].outputs) {
          known = known || port.name == item.name.text;
        }
      }
    }
    if (known) {
      error<DiagId::duplicate_log>(item.name.range, item.name.text);
      continue;
    }
    bool bytes = item.image && t->type.dtype == DType::U8;
    if (!bytes && !convertTo(*t, DType::F32)) {
      Value converted = callCast(DType::F32, *t, item.value->range, item.value->range);
      t = *converted.as<Tensor>();
    }
    VarId var = store(*t, item.name.text, item.value->range);
    out_->emit(item.value->range, Output{item.name.text, var});
    entry.outputs.push_back(portOf(item.name.text, out_->type(var), out_->symbols()));
    entry.outputs.back().image = item.image;
    entry.outputs.back().every = every.value_or(plan::Every{});
  }
}

} // namespace dnn::sema
