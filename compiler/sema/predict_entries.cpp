// `predict`: the questions that a trained program answers.
#include "compiler/sema/entries.h"
#include "compiler/sema/instantiator.h"
#include "compiler/sema/rowwise.h"

#include <algorithm>

namespace dnn::sema {

std::string Instantiator::textOf(const ast::Type& type, Env& env) {
  auto* tensor = std::get_if<ast::TensorType>(&type.node);
  auto* member = tensor && tensor->bound ? ast::getIf<ast::Member>(*tensor->bound) : nullptr;
  auto* base = member ? ast::getIf<ast::NameRef>(*member->base) : nullptr;
  const Binding* b = base ? env.scope->find(base->name.text) : nullptr;
  auto* ref = b ? b->value.as<SourceRef>() : nullptr;
  return ref && member->name.text == "vocab" ? program_.plan.sources[ref->source].name : "";
}

bool Instantiator::readLimits(const ast::Predict& predict, Env& inner, std::map<std::string, int64_t>& limits) {
  bool ok = true;
  for (const ast::Predict::Limit& limit : predict.limits) {
    constexpr int64_t most = 1 << 24;
    std::optional<int64_t> value = evalOption(*limit.most, inner, limit.dim.text.c_str(), 1, most);
    ok &= value.has_value();
    if (!limits.try_emplace(limit.dim.text, value.value_or(1)).second || inner.scope->find(limit.dim.text)) {
      error<DiagId::duplicate_name>(limit.dim.range, limit.dim.text);
      ok = false;
    }
  }
  return ok;
}

bool Instantiator::bindOpenDims(const ast::TensorType& type, const std::map<std::string, int64_t>& limits,
                                int64_t batch, Env& inner) {
  plan::Entry& entry = program_.plan.entries.back();
  bool ok = true;
  // The first dimension may be a name that nothing else has: the batch.
  auto* first = !type.dims.empty() ? ast::getIf<ast::NameRef>(*type.dims[0]) : nullptr;
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
      entry.batch = batch;
    }
    inner.scope->bind(first->name.text, StaticInt{Dim::symbol(0)}, first->name.range);
  }
  for (size_t i = 0; i < type.dims.size(); ++i) {
    auto* ref = ast::getIf<ast::NameRef>(*type.dims[i]);
    if (!ref || inner.scope->find(ref->name.text)) {
      continue;
    }
    auto limit = limits.find(ref->name.text);
    if (limit != limits.end() && !out_->function.symbols.empty()) {
      auto symbol = static_cast<SymbolId>(out_->function.symbols.size());
      out_->function.symbols.push_back({ref->name.text, limit->second});
      entry.lengths.push_back(limit->second);
      inner.scope->bind(ref->name.text, StaticInt{Dim::symbol(symbol)}, ref->name.range);
    } else if (i > 0) {
      error<DiagId::open_dimension>(ref->name.range, ref->name.text)
          .hint("write `where " + ref->name.text + " <= 128` behind the result");
      inner.scope->bind(ref->name.text, Poison{}, ref->name.range);
      ok = false;
    }
  }
  return ok;
}

void Instantiator::returnResults(const ast::Stmt& stmt, const ast::Predict& predict, const Value& result, Env& inner) {
  plan::Entry& entry = program_.plan.entries.back();
  auto* tuple = result.as<TupleValue>();
  std::vector<Value> items = tuple ? tuple->items : std::vector<Value>{result};
  for (size_t i = 0; i < items.size(); ++i) {
    std::string name = predict.name.text + (items.size() == 1 ? "" : "." + std::to_string(i));
    std::optional<Tensor> t = toTensor(items[i], returnRange_);
    if (!t) {
      continue;
    }
    VarId var = store(*t, name, returnRange_);
    out_->emit(stmt.range, Output{name, var});
    entry.outputs.push_back(portOf(name, out_->type(var), out_->symbols()));
    auto* types = std::get_if<ast::TupleType>(&predict.result->node);
    entry.outputs.back().text = textOf(types ? *types->items[i] : *predict.result, inner);
  }
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
  EntryBody body(env, "predict." + predict.name.text);
  Env& inner = body.env;
  // The batch of a prediction is as large as the largest of the program's data.
  constexpr int64_t kDefaultBatch = 64;
  int64_t batch = 0;
  for (const plan::Source& source : program_.plan.sources) {
    batch = std::max(batch, source.batch);
  }
  batch = batch == 0 ? kDefaultBatch : batch;
  std::map<std::string, int64_t> limits;
  bool ok = readLimits(predict, inner, limits);
  for (const ast::ParamDecl& param : predict.params) {
    auto* type = std::get_if<ast::TensorType>(&param.type->node);
    ok &= type == nullptr || bindOpenDims(*type, limits, batch, inner);
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
  if (!result && body.frame.failed) {
    ok = false;
  } else if (!result) {
    error<DiagId::missing_return>(predict.name.range, predict.name.text);
  } else if (ok && matchType(*predict.result, *result, returnRange_, inner, {},
                             "the result of `" + predict.name.text + "`")) {
    returnResults(stmt, predict, *result, inner);
  }
  program_.plan.entries[position].rowwise = isRowwise(out_->function, program_.helpers);
  endEntry(position);
}

} // namespace dnn::sema
