// Entry points: what they have in common, and steps.
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
  EntryBody body(env, path);
  Env& inner = body.env;
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

} // namespace dnn::sema
