// Data sources that are files: what a file holds is looked up when the program is compiled, so that the types of the
// fields are known.
#include "compiler/sema/entries.h"
#include "compiler/sema/instantiator.h"
#include "compiler/sema/source_options.h"
#include "compiler/sema/suggest.h"

#include <algorithm>
#include <cmath>

namespace dnn::sema {

namespace {

/// How the extent of a source's sequences is written in the types of its rows.
constexpr SymbolId kLength = 1;

/// The type of one example's field.
TensorType rowType(const plan::Port& port) {
  TensorType row{port.dtype, {}, port.bound > 0 ? std::optional(Dim(port.bound)) : std::nullopt};
  row.dims.assign(port.dims.begin(), port.dims.end());
  for (const plan::VaryingExtent& extent : port.varying) {
    row.dims[extent.dim] = Dim::symbol(kLength);
  }
  if (port.lengthOf > 0) {
    row.bound = Dim::symbol(kLength) + Dim(1);
  }
  return row;
}

} // namespace

bool Instantiator::readCall(const ast::Expr& e, plan::Source& plan, Source& source, Env& env) {
  auto* call = ast::getIf<ast::Call>(e);
  auto* callee = call ? ast::getIf<ast::NameRef>(*call->callee) : nullptr;
  std::string kind = callee ? callee->name.text : "";
  using Kind = plan::Source::Kind;
  struct Format {
    std::string_view name;
    Kind kind;
    bool (Instantiator::*read)(const ast::Expr&, const ast::Call&, plan::Source&, Source&, Env&);
  };
  static constexpr Format formats[] = {
      {"csv", Kind::Csv, &Instantiator::readCsv},          {"idx", Kind::Idx, &Instantiator::readIdx},
      {"npy", Kind::Npy, &Instantiator::readNpy},          {"npz", Kind::Npz, &Instantiator::readNpz},
      {"cifar", Kind::Cifar, &Instantiator::readCifar},    {"text", Kind::Text, &Instantiator::readText},
      {"images", Kind::Images, &Instantiator::readImages},
  };
  std::vector<std::string> names;
  for (const Format& format : formats) {
    if (kind == format.name) {
      plan.kind = format.kind;
      return (this->*format.read)(e, *call, plan, source, env);
    }
    names.emplace_back(format.name);
  }
  names.insert(names.end(), {"table", "generate"});
  error<DiagId::unknown_data_source>(e.range, callee ? kind : ast::print(e)).hint(didYouMean(kind, names));
  return false;
}

bool Instantiator::readPaths(const ast::Call& call, plan::Source& plan, Env& env) {
  bool ok = true;
  for (const ast::Arg& arg : call.args) {
    if (arg.name) {
      continue;
    }
    std::optional<std::string> path = evalString(*arg.value, env, "a file");
    if (path && path->empty()) {
      error<DiagId::empty_path>(arg.value->range);
      path.reset();
    }
    ok &= path.has_value();
    plan.paths.push_back(path.value_or(""));
  }
  if (auto given = options_.dataPaths.find(plan.name); given != options_.dataPaths.end()) {
    if (given->second.size() != plan.paths.size()) {
      error<DiagId::wrong_path_count>(call.callee->range, plan.name, counted(plan.paths.size(), "file"),
                                      given->second.size());
      return false;
    }
    plan.paths = given->second;
  }
  return ok;
}

bool Instantiator::readCsv(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env) {
  if (!readPaths(call, plan, env)) {
    return false;
  }
  if (plan.paths.size() != 1) {
    error<DiagId::wrong_argument_count>(e.range, "csv", "1 file", plan.paths.size());
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

bool Instantiator::readArrayOptions(const std::string& kind, const ast::Call& call, plan::Source& plan,
                                    std::optional<int64_t>& classes, Env& env) {
  bool ok = true;
  for (const ast::Arg& arg : call.args) {
    if (!arg.name) {
      continue;
    }
    if (arg.name->text == "classes") {
      classes = evalOption(*arg.value, env, "classes", 1, INT32_MAX);
      ok &= classes.has_value();
    } else if (isRowOption(arg.name->text)) {
      ok &= readRowOption(arg, plan, env);
    } else {
      ok = unknownOption(kind, *arg.name, {"classes", "split", "split_seed", "fold", "folds"});
    }
  }
  return ok && checkFolds(call.callee->range, plan);
}

bool Instantiator::readIdx(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env) {
  if (!readPaths(call, plan, env)) {
    return false;
  }
  std::optional<int64_t> classes;
  bool ok = readArrayOptions("idx", call, plan, classes, env);
  if (plan.paths.empty()) {
    error<DiagId::no_fields>(e.range, plan.name).hint("name a file for each field");
    return false;
  }
  std::optional<int64_t> rows;
  for (size_t i = 0; i < plan.paths.size(); ++i) {
    Result<IdxInfo> info = probe_.probeIdx(plan.paths[i]);
    if (!info) {
      unreadable(e.range, info.error().message, plan);
      ok = false;
      continue;
    }
    if (info->dims.empty()) {
      error<DiagId::data_unreadable>(e.range, "`" + plan.paths[i] + "` has no rows");
      ok = false;
      continue;
    }
    if (rows && *rows != info->dims[0]) {
      error<DiagId::row_count_differs>(e.range, plan.paths[0], *rows, plan.paths[i], info->dims[0]);
      ok = false;
    }
    rows = rows.value_or(info->dims[0]);
    TensorType row{info->dtype, {}, std::nullopt};
    for (size_t d = 1; d < info->dims.size(); ++d) {
      row.dims.emplace_back(info->dims[d]);
    }
    if (classes && i + 1 == plan.paths.size()) {
      if (isFloat(row.dtype)) {
        error<DiagId::bound_on_float>(e.range, nameOf(row.dtype));
        ok = false;
      }
      row.dtype = DType::I32;
      row.bound = Dim(*classes);
    }
    source.rows.push_back(row);
    plan.fields.push_back(portOf("field" + std::to_string(i), row));
  }
  return ok;
}

bool Instantiator::readNpy(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env) {
  if (!readPaths(call, plan, env)) {
    return false;
  }
  std::optional<int64_t> classes;
  if (!readArrayOptions("npy", call, plan, classes, env)) {
    return false;
  }
  if (plan.paths.empty()) {
    error<DiagId::no_fields>(e.range, plan.name).hint("name a file for each field");
    return false;
  }
  for (size_t i = 0; i < plan.paths.size(); ++i) {
    bool last = i + 1 == plan.paths.size();
    plan.fields.push_back(field("field" + std::to_string(i), last ? classes.value_or(0) : 0));
  }
  return lookUp(e.range, plan, source);
}

bool Instantiator::readNpz(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env) {
  if (!readPaths(call, plan, env)) {
    return false;
  }
  if (plan.paths.size() != 1) {
    error<DiagId::wrong_argument_count>(e.range, "npz", "1 file", plan.paths.size());
    return false;
  }
  // Sequences that lie in one array, and the field with their lengths.
  auto readRagged = [&](const ast::Name& name, const ast::Call& words, std::optional<int64_t> bound) {
    if (plan.maxLength > 0) {
      error<DiagId::second_sequence>(name.range, plan.name);
      return false;
    }
    bool good = true;
    std::optional<int64_t> most;
    std::vector<std::string> arrays;
    for (const ast::Arg& arg : words.args) {
      if (!arg.name) {
        std::optional<std::string> array = evalString(*arg.value, env, "an array of the file");
        good &= array.has_value();
        arrays.push_back(array.value_or(""));
      } else if (arg.name->text == "max") {
        constexpr int64_t kMostLength = int64_t{1} << 24;
        most = evalOption(*arg.value, env, "max", 1, kMostLength);
        good &= most.has_value();
      } else {
        good = unknownOption("ragged", *arg.name, {"max"});
      }
    }
    if (arrays.size() != 2) {
      error<DiagId::wrong_argument_count>(words.callee->range, "ragged", "2 arrays", arrays.size());
      return false;
    }
    if (good && !most) {
      error<DiagId::missing_argument>(words.callee->range, "ragged", "max")
          .hint("write how long an example is at most: `max = 128`");
    }
    plan.maxLength = most.value_or(1);
    plan.fields.push_back(field(name.text, bound.value_or(0)));
    plan.members.push_back(arrays[0]);
    plan.offsets.push_back(arrays[1]);
    plan.fields.push_back(field(name.text + ".length"));
    plan.fields.back().lengthOf = 1;
    plan.members.emplace_back();
    plan.offsets.emplace_back();
    return good && most.has_value();
  };
  bool ok = true;
  for (const ast::Arg& arg : call.args) {
    if (!arg.name) {
      continue;
    }
    if (isRowOption(arg.name->text)) {
      ok &= readRowOption(arg, plan, env);
      continue;
    }
    const ast::Expr* array = arg.value.get();
    std::optional<int64_t> bound;
    bool good = readBound(array, bound, env);
    auto* words = ast::getIf<ast::Call>(*array);
    auto* word = words ? ast::getIf<ast::NameRef>(*words->callee) : nullptr;
    if (word && word->name.text == "ragged") {
      ok &= good && readRagged(*arg.name, *words, bound);
      continue;
    }
    std::optional<std::string> member = good ? evalString(*array, env, "an array of the file") : std::nullopt;
    ok &= member.has_value();
    plan.fields.push_back(field(arg.name->text, bound.value_or(0)));
    plan.members.push_back(member.value_or(""));
    plan.offsets.emplace_back();
  }
  if (ok && plan.fields.empty()) {
    error<DiagId::no_fields>(e.range, plan.name).hint("name the arrays: `x = \"images\", y = \"labels\" < 10`");
    return false;
  }
  return ok && checkFolds(call.callee->range, plan) && lookUp(e.range, plan, source);
}

bool Instantiator::readCifar(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env) {
  if (!readPaths(call, plan, env)) {
    return false;
  }
  if (plan.paths.empty()) {
    error<DiagId::no_fields>(e.range, plan.name)
        .hint("name the files: `cifar(\"data_batch_1.bin\", \"data_batch_2.bin\")`");
    return false;
  }
  bool ok = true;
  int64_t classes = 10;
  for (const ast::Arg& arg : call.args) {
    if (!arg.name) {
      continue;
    }
    if (arg.name->text == "labels") {
      std::optional<std::string> labels = evalWord(arg, {"fine", "coarse"});
      ok &= labels.has_value();
      plan.labels = 2;
      plan.coarse = labels == "coarse";
      classes = plan.coarse ? 20 : 100;
    } else if (isRowOption(arg.name->text)) {
      ok &= readRowOption(arg, plan, env);
    } else {
      ok = unknownOption("cifar", *arg.name, {"labels", "split", "split_seed", "fold", "folds"});
    }
  }
  plan.fields = {field("x"), field("y", classes)};
  plan.fields[0].dtype = plan::DType::U8;
  plan.fields[0].dims = {32, 32, 3};
  plan.fields[1].dtype = plan::DType::I32;
  return ok && checkFolds(call.callee->range, plan) && lookUp(e.range, plan, source);
}

bool Instantiator::lookUp(SourceRange range, plan::Source& plan, Source& source, int64_t limit,
                          const std::string& vocabularyFile) {
  Result<plan::Source> found = probe_.probeSource(plan, limit, vocabularyFile);
  if (!found) {
    unreadable(range, found.error().message, plan);
    return false;
  }
  plan = std::move(*found);
  for (const plan::Port& port : plan.fields) {
    source.rows.push_back(rowType(port));
  }
  return true;
}

void Instantiator::unreadable(SourceRange range, const std::string& message, const plan::Source& plan) {
  std::string paths;
  for (size_t i = 0; i < plan.paths.size(); ++i) {
    paths += i == 0 ? "PATH" : ",PATH";
  }
  error<DiagId::data_unreadable>(range, message)
      .hint(std::string("name the ") + (plan.paths.size() == 1 ? "file" : "files") + " with `--data " + plan.name +
            "=" + paths + "`");
}

bool Instantiator::unknownOption(const std::string& kind, const ast::Name& name,
                                 const std::vector<std::string>& known) {
  error<DiagId::unknown_argument>(name.range, kind, name.text).hint(didYouMean(name.text, known));
  return false;
}

std::optional<int64_t> Instantiator::evalOption(const ast::Expr& e, Env& env, const char* name, int64_t least,
                                                int64_t most) {
  std::optional<int64_t> value = evalStaticInt(e, env, ("`" + std::string(name) + "`").c_str());
  if (value && (*value < least || *value > most)) {
    error<DiagId::option_out_of_range>(e.range, name, *value, least);
    return std::nullopt;
  }
  return value;
}

std::optional<std::string> Instantiator::evalWord(const ast::Arg& arg, const std::vector<std::string>& words) {
  auto* name = ast::getIf<ast::NameRef>(*arg.value);
  if (name && std::find(words.begin(), words.end(), name->name.text) != words.end()) {
    return name->name.text;
  }
  std::string list;
  for (size_t i = 0; i < words.size(); ++i) {
    list += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + ("`" + words[i] + "`");
  }
  error<DiagId::unknown_word>(arg.value->range, arg.name->text, list, ast::print(*arg.value));
  return std::nullopt;
}

bool Instantiator::readBound(const ast::Expr*& e, std::optional<int64_t>& bound, Env& env) {
  auto* less = ast::getIf<ast::Binary>(*e);
  if (!less || less->op != ast::BinaryOp::Lt) {
    return true;
  }
  bound = evalStaticInt(*less->right, env, "the bound of a field");
  if (bound && (*bound < 1 || *bound > INT32_MAX)) {
    error<DiagId::option_out_of_range>(less->right->range, "bound", *bound, 1);
    bound.reset();
  }
  e = less->left.get();
  return bound.has_value();
}

bool Instantiator::readRowOption(const ast::Arg& arg, plan::Source& plan, Env& env) {
  const std::string& name = arg.name->text;
  if (name == "split") {
    std::optional<double> split = evalStaticNumber(*arg.value, env, "`split`");
    if (split && (*split <= -1 || *split >= 1 || *split == 0)) {
      error<DiagId::bad_split>(arg.value->range);
      return false;
    }
    plan.split = split.value_or(0);
    return split.has_value();
  }
  if (name == "split_seed") {
    std::optional<int64_t> seed = evalStaticInt(*arg.value, env, "`split_seed`");
    plan.splitSeed = static_cast<uint64_t>(seed.value_or(0));
    return seed.has_value();
  }
  constexpr int64_t kMostFolds = 1000000;
  std::optional<int64_t> count =
      name == "folds" ? evalOption(*arg.value, env, "folds", 2, kMostFolds) : evalStaticInt(*arg.value, env, "`fold`");
  if (count && name == "fold" && (*count == 0 || *count > kMostFolds || *count < -kMostFolds)) {
    error<DiagId::bad_fold>(arg.value->range, *count);
    return false;
  }
  (name == "folds" ? plan.folds : plan.fold) = static_cast<int32_t>(count.value_or(0));
  return count.has_value();
}

bool Instantiator::checkFolds(SourceRange range, const plan::Source& plan) {
  if (plan.fold == 0 && plan.folds == 0) {
    return true;
  }
  if (plan.fold == 0 || plan.folds == 0) {
    error<DiagId::missing_argument>(range, "this data source", plan.fold == 0 ? "fold" : "folds")
        .hint("write both: `fold = 2, folds = 5`");
    return false;
  }
  if (plan.split != 0) {
    error<DiagId::split_and_fold>(range);
    return false;
  }
  if (std::abs(plan.fold) > plan.folds) {
    error<DiagId::bad_fold>(range, plan.fold).hint("there are " + std::to_string(plan.folds) + " folds");
    return false;
  }
  return true;
}

} // namespace dnn::sema
