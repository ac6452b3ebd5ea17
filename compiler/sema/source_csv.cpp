// Sources that are tables: fields of columns, and what stands for missing cells.
#include "compiler/sema/entries.h"
#include "compiler/sema/instantiator.h"
#include "compiler/sema/source_options.h"
#include "compiler/sema/suggest.h"

#include <algorithm>
#include <cmath>

namespace dnn::sema {

bool Instantiator::readCsv(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env) {
  if (!readPath(e, call, "csv", "1 file", plan, env)) {
    return false;
  }
  Result<std::vector<std::string>> header = probe_.probeCsv(plan.paths[0]);
  if (!header) {
    unreadable(e.range, header.error().message, plan);
  }
  bool ok = header.ok();
  MissingCells missing;
  TokenOptions tokens;
  for (const ast::Arg& arg : call.args) {
    if (!arg.name) {
      continue;
    }
    if (isRowOption(arg.name->text)) {
      ok &= readRowOption(arg, plan, env);
      continue;
    }
    if (arg.name->text == "missing") {
      ok &= readMissing(*arg.value, plan, missing, env);
      continue;
    }
    // A field: "column", "first".."last", a list of these, categories("column"); but for the last, each may be < K.
    const ast::Expr* columns = arg.value.get();
    std::optional<int64_t> bound;
    plan::CsvField rule;
    auto* words = ast::getIf<ast::Call>(*columns);
    auto* word = words ? ast::getIf<ast::NameRef>(*words->callee) : nullptr;
    if (word && word->name.text == "tokens") {
      bool read = readTokens(*arg.name, *words, header ? &*header : nullptr, plan, tokens, env);
      ok &= read;
      source.rows.resize(plan.fields.size());
      continue;
    }
    if (word && word->name.text == "categories" && words->args.size() == 1) {
      rule.categorical = true;
      columns = words->args[0].value.get();
    } else if (!readBound(columns, bound, env)) {
      ok = false;
      continue;
    }
    auto* list = ast::getIf<ast::List>(*columns);
    std::vector<const ast::Expr*> runs = {columns};
    if (list) {
      runs.clear();
      for (const ast::ExprPtr& item : list->items) {
        runs.push_back(item.get());
      }
    }
    int64_t width = 0;
    bool good = true;
    for (const ast::Expr* run : runs) {
      std::optional<int64_t> count = readRun(*run, header ? &*header : nullptr, plan.paths[0], rule, env);
      good &= count.has_value();
      width += count.value_or(0);
    }
    bool many = list || ast::getIf<ast::Range>(*columns);
    if (good && rule.categorical && many) {
      error<DiagId::categories_of_several>(arg.value->range);
      good = false;
    }
    ok &= good;
    if (!good) {
      continue;
    }
    TensorType row{
        bound || rule.categorical ? DType::I32 : DType::F32, {}, bound ? std::optional(Dim(*bound)) : std::nullopt};
    if (many) {
      row.dims = {Dim(width)};
    }
    source.rows.push_back(row);
    plan.fields.push_back(portOf(arg.name->text, row));
    plan.columns.push_back(std::move(rule));
  }
  if (ok && source.rows.empty()) {
    error<DiagId::no_fields>(e.range, plan.name)
        .hint("name the columns: `x = \"first\"..\"last\", y = \"label\" < 10`");
    ok = false;
  }
  int64_t limit = 0;
  std::string vocabularyFile;
  ok = ok && (!tokens.vocabulary || readVocabulary(*tokens.vocabulary, plan, limit, vocabularyFile, env));
  return ok && checkFolds(call.callee->range, plan) &&
         describeColumns(e.range, plan, source, missing, limit, vocabularyFile);
}

std::optional<int64_t> Instantiator::readRun(const ast::Expr& e, const std::vector<std::string>* header,
                                             const std::string& path, plan::CsvField& rule, Env& env) {
  auto* range = ast::getIf<ast::Range>(e);
  const ast::Expr& fromExpr = range ? *range->from : e;
  const ast::Expr& toExpr = range ? *range->to : e;
  std::optional<std::string> from = evalString(fromExpr, env, "a column");
  std::optional<std::string> to = range ? evalString(toExpr, env, "a column") : from;
  if (!from || !to) {
    return std::nullopt;
  }
  rule.runs.push_back({*from, *to});
  if (!header) {
    return 1; // the file cannot be read, which was reported
  }
  auto find = [&](const std::string& name, SourceRange at) -> std::optional<int64_t> {
    auto it = std::find(header->begin(), header->end(), name);
    if (it != header->end()) {
      return it - header->begin();
    }
    error<DiagId::unknown_column>(at, name, path).hint(didYouMean(name, *header));
    return std::nullopt;
  };
  std::optional<int64_t> first = find(*from, fromExpr.range);
  std::optional<int64_t> last = range ? find(*to, toExpr.range) : first;
  if (!first || !last) {
    return std::nullopt;
  }
  if (*last < *first) {
    error<DiagId::columns_reversed>(e.range, *from, *to);
    return std::nullopt;
  }
  return *last - *first + 1;
}

bool Instantiator::readMissing(const ast::Expr& e, plan::Source& plan, MissingCells& missing, Env& env) {
  missing.given = true;
  auto* name = ast::getIf<ast::NameRef>(e);
  if (name && name->name.text == "mean") {
    missing.value = std::nan("");
    return true;
  }
  const Binding* b = name ? env.scope->find(name->name.text) : nullptr;
  if (auto* ref = b ? b->value.as<SourceRef>() : nullptr) {
    const plan::Source& other = program_.plan.sources[ref->source];
    bool csv = other.kind == plan::Source::Kind::Csv;
    if (!csv && !sources_[ref->source].failed) {
      error<DiagId::no_missing_cells>(e.range, other.name)
          .note(sources_[ref->source].name.range, "it is declared here");
    }
    missing.like = ref->source;
    return csv && !sources_[ref->source].failed;
  }
  std::optional<double> value = evalStaticNumber(e, env, "`missing`");
  missing.value = value.value_or(0);
  return value.has_value() && plan.kind == plan::Source::Kind::Csv;
}

bool Instantiator::describeColumns(SourceRange range, plan::Source& plan, Source& source, const MissingCells& missing,
                                   int64_t limit, const std::string& vocabularyFile) {
  // Categories and fills that another source has found are taken from it, so that numbers mean the same in both.
  std::vector<bool> copied(plan.fields.size(), false);
  bool look = false;
  for (size_t i = 0; i < plan.fields.size(); ++i) {
    plan::CsvField& rule = plan.columns[i];
    if (rule.tokens || plan.fields[i].lengthOf > 0) {
      look = true;
    } else if (missing.like) {
      const plan::Source& other = program_.plan.sources[*missing.like];
      for (size_t k = 0; k < other.fields.size(); ++k) {
        const plan::CsvField& known = other.columns[k];
        if (other.fields[k].name == plan.fields[i].name && other.fields[k].dims == plan.fields[i].dims &&
            known.categorical == rule.categorical) {
          std::vector<plan::CsvRun> runs = std::move(rule.runs);
          rule = known;
          rule.runs = std::move(runs);
          plan.fields[i].bound = other.fields[k].bound;
          copied[i] = true;
        }
      }
    } else if (missing.given && rule.categorical) {
      rule.missingCategory = true;
    } else if (missing.given && plan.fields[i].dtype == plan::DType::F32) {
      int64_t width = plan.fields[i].dims.empty() ? 1 : plan.fields[i].dims[0];
      rule.fills.assign(static_cast<size_t>(width), missing.value);
    }
    look |= !copied[i] && (rule.categorical || (!rule.fills.empty() && std::isnan(rule.fills[0])));
  }
  if (look) {
    Result<plan::Source> found = probe_.probeSource(plan, limit, vocabularyFile);
    if (!found) {
      unreadable(range, found.error().message, plan);
      return false;
    }
    plan.vocabulary = std::move(found->vocabulary);
    plan.text = found->text;
    for (size_t i = 0; i < plan.fields.size(); ++i) {
      if (!copied[i]) {
        plan.columns[i] = found->columns[i];
        plan.fields[i] = found->fields[i];
      }
    }
  }
  for (size_t i = 0; i < plan.fields.size(); ++i) {
    source.rows[i] = rowType(plan.fields[i]);
  }
  return true;
}

} // namespace dnn::sema
