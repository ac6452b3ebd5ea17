// Data sources, and those that need no files: tables and generated data.
#include "compiler/sema/entries.h"
#include "compiler/sema/instantiator.h"
#include "compiler/sema/suggest.h"
#include "runtime/types/half.h"

#include <algorithm>
#include <cstring>
#include <set>

namespace dnn::sema {

namespace {

/// Rows that a source or a table may have; a limit on what one typing error can ask for.
constexpr int64_t kMaxRows = int64_t{1} << 31;

template <class T> void appendBytes(std::vector<uint8_t>& out, T value) {
  uint8_t bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.insert(out.end(), bytes, bytes + sizeof(T));
}

/// False if the type does not hold the value.
bool appendValue(std::vector<uint8_t>& out, DType type, double number, std::optional<int64_t> integer) {
  switch (type) {
  case DType::F32: appendBytes(out, static_cast<float>(number)); return true;
  case DType::F64: appendBytes(out, number); return true;
  case DType::BF16:
  case DType::F16: appendBytes(out, toBits(type, static_cast<float>(number))); return true;
  case DType::I32:
    if (!integer || *integer < INT32_MIN || *integer > INT32_MAX) {
      return false;
    }
    appendBytes(out, static_cast<int32_t>(*integer));
    return true;
  case DType::I64:
    if (!integer) {
      return false;
    }
    appendBytes(out, *integer);
    return true;
  case DType::U8:
  case DType::Bool:
    if (!integer || *integer < 0 || *integer > (type == DType::Bool ? 1 : UINT8_MAX)) {
      return false;
    }
    appendBytes(out, static_cast<uint8_t>(*integer));
    return true;
  case DType::U32:
    if (!integer || *integer < 0 || *integer > UINT32_MAX) {
      return false;
    }
    appendBytes(out, static_cast<uint32_t>(*integer));
    return true;
  }
  return false;
}

/// The extents of nested lists, from the first item at each level.
std::vector<int64_t> listDims(const ast::Expr& e) {
  std::vector<int64_t> dims;
  const ast::Expr* at = &e;
  while (auto* list = ast::getIf<ast::List>(*at)) {
    dims.push_back(static_cast<int64_t>(list->items.size()));
    if (list->items.empty()) {
      break;
    }
    at = list->items[0].get();
  }
  return dims;
}

} // namespace

void Instantiator::runData(const ast::Data& data, Env& env) {
  Source source;
  source.name = data.name;
  plan::Source plan;
  plan.name = data.name.text;
  for (const Source& other : sources_) {
    if (other.name.text == data.name.text) {
      error<DiagId::duplicate_name>(data.name.range, data.name.text).note(other.name.range, "the first one is here");
      return;
    }
  }
  bool ok = readOptions(data, plan, env);
  if (auto* call = std::get_if<ast::ExprPtr>(&data.source)) {
    ok = readCall(**call, plan, source, env) && ok;
  } else if (auto* table = std::get_if<ast::TableSource>(&data.source)) {
    ok = readTable(*table, plan, source, env) && ok;
  } else {
    ok = readGenerate(std::get<ast::GenerateSource>(data.source), plan, source, env) && ok;
  }
  if (ok && plan.bucket && plan.maxLength == 0) {
    error<DiagId::misplaced_bucket>(data.name.range, data.name.text);
    ok = false;
  }
  source.failed = !ok;
  source.phase = phase_;
  env.scope->bind(data.name.text, SourceRef{sources_.size()}, data.name.range);
  sources_.push_back(std::move(source));
  program_.plan.sources.push_back(std::move(plan));
}

std::optional<int64_t> Instantiator::exampleCount(size_t number, SourceRange range) {
  Source& source = sources_[number];
  const plan::Source& plan = program_.plan.sources[number];
  if (source.failed || source.count) {
    return source.count;
  }
  bool known = plan.kind == plan::Source::Kind::Table || plan.kind == plan::Source::Kind::Generate;
  Result<int64_t> rows = known ? Result<int64_t>(static_cast<int64_t>(plan.rows)) : probe_.countExamples(plan);
  if (!rows) {
    error<DiagId::data_unreadable>(range, rows.error().message);
    source.failed = true;
    return std::nullopt;
  }
  source.count = *rows;
  return source.count;
}

bool Instantiator::readOptions(const ast::Data& data, plan::Source& plan, Env& env) {
  bool ok = true;
  bool batch = false;
  for (const ast::Arg& option : data.options) {
    const std::string& name = option.name->text;
    if (name == "batch") {
      std::optional<int64_t> size = evalStaticInt(*option.value, env, "`batch`");
      if (size && (*size < 1 || *size > (1 << 24))) {
        error<DiagId::option_out_of_range>(option.value->range, "batch", *size, 1);
        size.reset();
      }
      ok &= size.has_value();
      plan.batch = size.value_or(1);
      batch = true;
    } else if (name == "shuffle") {
      std::optional<bool> shuffle = evalStaticBool(*option.value, env, "`shuffle`");
      ok &= shuffle.has_value();
      plan.shuffle = shuffle.value_or(false);
    } else if (name == "bucket") {
      std::optional<bool> bucket = evalStaticBool(*option.value, env, "`bucket`");
      ok &= bucket.has_value();
      plan.bucket = bucket.value_or(false);
    } else if (name == "fresh") {
      std::optional<bool> fresh = evalStaticBool(*option.value, env, "`fresh`");
      ok &= fresh.has_value();
      plan.fresh = fresh.value_or(false);
      if (plan.fresh && !std::holds_alternative<ast::GenerateSource>(data.source)) {
        error<DiagId::misplaced_fresh>(option.value->range);
        ok = false;
      }
    } else {
      error<DiagId::unknown_argument>(option.name->range, "data", name)
          .hint(didYouMean(name, {"batch", "shuffle", "bucket", "fresh"}));
      ok = false;
    }
  }
  if (plan.fresh && plan.shuffle) {
    error<DiagId::fresh_and_shuffled>(data.name.range);
    ok = false;
  }
  if (!batch) {
    error<DiagId::missing_batch>(data.name.range, data.name.text).hint("write `, batch = 32` behind the source");
    ok = false;
  }
  return ok;
}

Value Instantiator::sourceMember(const SourceRef& ref, const ast::Member& member) {
  if (sources_[ref.source].failed) {
    return Poison{};
  }
  const plan::Source& plan = program_.plan.sources[ref.source];
  auto tokens = std::find_if(plan.fields.begin(), plan.fields.end(), [](auto& field) { return !field.text.empty(); });
  if (member.name.text == "vocab" && tokens != plan.fields.end()) {
    return StaticInt{Dim(tokens->bound)};
  }
  if (member.name.text == "count" || member.name.text == "steps") {
    std::optional<int64_t> count = exampleCount(ref.source, member.name.range);
    if (!count) {
      return Poison{};
    }
    program_.plan.sources[ref.source].knownRows = static_cast<uint64_t>(*count);
    return StaticInt{Dim(member.name.text == "count" ? *count : (*count + plan.batch - 1) / plan.batch)};
  }
  for (size_t i = 0; i < plan.fields.size(); ++i) {
    if (plan.fields[i].name == member.name.text) {
      return SourceField{ref.source, i};
    }
  }
  std::vector<std::string> names = {"count", "steps"};
  for (const plan::Port& field : plan.fields) {
    names.push_back(field.name);
  }
  error<DiagId::no_members>(member.name.range, "the data source `" + plan.name + "`", member.name.text)
      .hint(didYouMean(member.name.text, names));
  return Poison{};
}

namespace {

/// The path of a value that examples are made with by this function, statistics aside: they do not change.
std::optional<std::string> changingValueIn(const Function& function, const Program& program) {
  std::set<PersistentId> statistics;
  for (const plan::Source& source : program.plan.sources) {
    for (const plan::Statistic& statistic : source.statistics) {
      statistics.insert(statistic.persistent);
    }
  }
  for (const Statement& stmt : function.body) {
    auto* read = std::get_if<ReadPersistent>(&stmt.node);
    if (read && !statistics.contains(read->persistent)) {
      return program.persistents[read->persistent].path;
    }
  }
  return std::nullopt;
}

} // namespace

Value Instantiator::fieldMember(const SourceField& ref, const ast::Member& member, SourceRange range, Env& env) {
  plan::Source& plan = program_.plan.sources[ref.source];
  const plan::Port& field = plan.fields[ref.field];
  const std::string& name = member.name.text;
  bool categorical = (plan.kind == plan::Source::Kind::Csv && plan.columns[ref.field].categorical) ||
                     (plan.kind == plan::Source::Kind::Images && ref.field == 1);
  if (name == "categories" && categorical) {
    return StaticInt{Dim(field.bound)};
  }
  if ((name != "mean" && name != "std") || plan.fresh || !field.varying.empty()) {
    error<DiagId::no_members>(member.name.range, "the field `" + plan.name + "." + field.name + "`", name);
    return Poison{};
  }
  bool later = plan.kind == plan::Source::Kind::Generate && sources_[ref.source].phase.value_or(0) > 0;
  std::optional<std::string> changing;
  if (later) {
    changing = changingValueIn(entries_[plan.generateEntry].function, program_);
  }
  if (changing) {
    error<DiagId::statistics_before_training>(range, plan.name, *changing)
        .note(sources_[ref.source].name.range, "it is declared here, in a later phase")
        .hint("compute the mean over the batch, or make the data in the first phase");
    return Poison{};
  }
  // A state, so that a checkpoint holds it and a prediction computes with the numbers of the training.
  std::string path = plan.name + "." + field.name + "." + name;
  auto known = persistentIds_.find(path);
  if (known == persistentIds_.end()) {
    TensorType type = sources_[ref.source].rows[ref.field];
    type.dtype = DType::F32;
    type.bound.reset();
    ast::Expr initial(range, ast::IntLiteral{name == "std" ? 1 : 0}); // until the data is there
    std::optional<PersistentId> id = declare(plan::Persistent::Kind::State, path, type, range, initial, env);
    if (!id) {
      return Poison{};
    }
    auto kind = name == "std" ? plan::Statistic::Kind::Deviation : plan::Statistic::Kind::Mean;
    plan.statistics.push_back({kind, static_cast<uint32_t>(ref.field), *id});
    known = persistentIds_.find(path);
  }
  return readPersistent(known->second, range);
}

bool Instantiator::readTable(const ast::TableSource& table, plan::Source& plan, Source& source, Env& env) {
  plan.kind = plan::Source::Kind::Table;
  bool ok = true;
  std::optional<int64_t> rows;
  for (const ast::TableField& field : table.fields) {
    auto* type = std::get_if<ast::TensorType>(&field.type->node);
    std::optional<DType> dtype = type ? evalDType(type->dtype) : std::nullopt;
    if (!type) {
      error<DiagId::tuple_type_here>(field.type->range);
    }
    std::optional<int64_t> bound = type && type->bound ? evalStaticInt(*type->bound, env, "a bound") : std::nullopt;
    if (bound && (*bound < 1 || *bound > INT32_MAX)) {
      error<DiagId::option_out_of_range>(type->bound->range, "bound", *bound, 1);
      bound.reset();
    }
    if (!dtype || (type->bound && !bound)) {
      ok = false;
      continue;
    }
    std::vector<int64_t> dims = listDims(*field.value);
    if (dims.empty() || dims[0] == 0) {
      error<DiagId::table_without_rows>(field.value->range, field.name.text);
      ok = false;
      continue;
    }
    std::vector<uint8_t> bytes;
    bool good = true;
    // Every level has the extent that its first list has.
    std::function<void(const ast::Expr&, size_t)> fill = [&](const ast::Expr& e, size_t level) {
      if (!good) {
        return;
      }
      auto* list = ast::getIf<ast::List>(e);
      if ((list != nullptr) != (level < dims.size()) ||
          (list && static_cast<int64_t>(list->items.size()) != dims[level])) {
        error<DiagId::ragged_table>(e.range, field.name.text);
        good = false;
        return;
      }
      if (list) {
        for (const ast::ExprPtr& item : list->items) {
          fill(*item, level + 1);
        }
        return;
      }
      Value value = eval(e, env);
      auto* n = value.as<StaticInt>();
      auto* f = value.as<StaticFloat>();
      auto* b = value.as<StaticBool>();
      std::optional<int64_t> integer;
      if (n && n->value.isStatic()) {
        integer = n->value.constant();
      } else if (b) {
        integer = b->value ? 1 : 0;
      }
      if (!integer && !f) {
        if (!value.poisoned()) {
          error<DiagId::wrong_static_kind>(e.range, "a value of a table", "a number", describe(value));
        }
        good = false;
        return;
      }
      if (!appendValue(bytes, *dtype, f ? f->value : static_cast<double>(*integer), integer)) {
        error<DiagId::table_value>(e.range, ast::print(e), nameOf(*dtype));
        good = false;
        return;
      }
      if (bound && integer && (*integer < 0 || *integer >= *bound)) {
        error<DiagId::table_bound>(e.range, *integer, *bound);
        good = false;
      }
    };
    fill(*field.value, 0);
    if (good && rows && *rows != dims[0]) {
      error<DiagId::row_count_differs>(field.value->range, table.fields[0].name.text, *rows, field.name.text, dims[0]);
      good = false;
    }
    rows = rows.value_or(dims[0]);
    ok &= good;
    TensorType row{*dtype, {}, bound ? std::optional(Dim(*bound)) : std::nullopt};
    for (size_t d = 1; d < dims.size(); ++d) {
      row.dims.emplace_back(dims[d]);
    }
    source.rows.push_back(row);
    plan.fields.push_back(portOf(field.name.text, row));
    plan.table.push_back(std::move(bytes));
  }
  plan.rows = static_cast<uint64_t>(rows.value_or(0));
  return ok;
}

bool Instantiator::readGenerate(const ast::GenerateSource& generate, plan::Source& plan, Source& source, Env& env) {
  plan.kind = plan::Source::Kind::Generate;
  std::optional<int64_t> count = evalStaticInt(*generate.count, env, "the number of examples");
  if (count && (*count < 1 || *count > kMaxRows)) {
    error<DiagId::option_out_of_range>(generate.count->range, "count", *count, 1);
    count.reset();
  }
  if (generate.seed) {
    std::optional<int64_t> seed = evalStaticInt(*generate.seed, env, "`seed`");
    plan.seed = static_cast<uint64_t>(seed.value_or(0));
  }
  if (!count) {
    return false;
  }
  plan.rows = static_cast<uint64_t>(*count);
  size_t position = entries_.size();
  plan.generateEntry = static_cast<uint32_t>(position);
  beginEntry(plan::Entry::Kind::Generate, "generate." + plan.name, plan.name);
  EntryBody body(env, "generate." + plan.name);
  Env& inner = body.env;
  Frame& frame = body.frame;
  frame.examples = Dim(*count);
  if (plan.fresh) { // one call makes one batch
    program_.plan.entries[position].batch = plan.batch;
    out_->function.symbols = {{"N", plan.batch}};
    frame.examples = Dim::symbol(0);
    inner.scope->bind("N", StaticInt{*frame.examples}, generate.range);
  }
  std::optional<Value> result = runBlock(generate.body, inner);
  bool ok = result && !result->poisoned();
  if (!result && !frame.failed) {
    error<DiagId::missing_return>(generate.range, "generate");
  }
  if (ok) {
    auto* tuple = result->as<TupleValue>();
    std::vector<Value> items = tuple ? tuple->items : std::vector<Value>{*result};
    for (size_t i = 0; i < items.size(); ++i) {
      std::optional<Tensor> t = toTensor(items[i], returnRange_);
      if (!t || t->type.isScalar() || t->type.dims[0] != *frame.examples) {
        if (t) {
          error<DiagId::not_examples>(returnRange_, str(*frame.examples), str(t->type));
        }
        ok = false;
        continue;
      }
      std::string name = "field" + std::to_string(i);
      VarId var = store(*t, name, returnRange_);
      out_->emit(generate.range, Output{name, var});
      TensorType row = out_->type(var);
      program_.plan.entries[position].outputs.push_back(portOf(name, row));
      row.dims.erase(row.dims.begin());
      source.rows.push_back(row);
      plan.fields.push_back(portOf(name, row));
    }
  }
  endEntry(position);
  return ok;
}

} // namespace dnn::sema
