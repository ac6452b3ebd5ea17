// Data sources with tokens: texts, and the columns of a table that hold texts.
#include "compiler/sema/instantiator.h"
#include "compiler/sema/source_options.h"

#include <algorithm>

namespace dnn::sema {

namespace {

constexpr int64_t kMostWindow = int64_t{1} << 24;

} // namespace

std::optional<bool> Instantiator::readTokenOption(const ast::Arg& arg, plan::Source& plan, TokenOptions& options,
                                                  Env& env) {
  const std::string& name = arg.name->text;
  if (name == "unit") {
    std::optional<std::string> unit = evalWord(arg, {"char", "byte", "word"});
    plan.text.unit = unit == "byte"   ? plan::TextRule::Unit::Byte
                     : unit == "word" ? plan::TextRule::Unit::Word
                                      : plan::TextRule::Unit::Char;
    return unit.has_value();
  }
  if (name == "max") {
    options.most = evalOption(*arg.value, env, "max", 1, kMostWindow);
    return options.most.has_value();
  }
  if (name == "vocab") {
    options.vocabulary = arg.value.get();
    return true;
  }
  return std::nullopt;
}

bool Instantiator::readTokens(const ast::Name& field, const ast::Call& call, const std::vector<std::string>* header,
                              plan::Source& plan, TokenOptions& options, Env& env) {
  if (plan.maxLength > 0) {
    error<DiagId::second_sequence>(field.range, plan.name);
    return false;
  }
  bool ok = true;
  const ast::Expr* column = nullptr;
  size_t columns = 0;
  for (const ast::Arg& arg : call.args) {
    if (!arg.name) {
      column = arg.value.get();
      ++columns;
    } else if (std::optional<bool> read = readTokenOption(arg, plan, options, env)) {
      ok &= *read;
    } else {
      ok = unknownOption("tokens", *arg.name, {"unit", "max", "vocab"});
    }
  }
  if (columns != 1) {
    error<DiagId::wrong_argument_count>(call.callee->range, "tokens", "1 column", columns);
    return false;
  }
  if (ok && !options.most) {
    error<DiagId::missing_argument>(call.callee->range, "tokens", "max")
        .hint("write how many tokens a text has at most: `max = 128`");
    return false;
  }
  plan::CsvField rule{.tokens = true};
  std::optional<int64_t> count = ok ? readRun(*column, header, plan.paths[0], rule, env) : std::nullopt;
  if (count.value_or(1) != 1) {
    error<DiagId::wrong_argument_count>(column->range, "tokens", "1 column", static_cast<size_t>(*count));
    return false;
  }
  if (!count) {
    return false;
  }
  plan.maxLength = *options.most;
  plan.text.lines = true; // so predictions read a text: each line is what a cell is here
  plan::Port tokens;
  tokens.name = field.text;
  plan.fields.push_back(std::move(tokens));
  plan.columns.push_back(std::move(rule));
  plan::Port length;
  length.name = field.text + ".length";
  length.dtype = plan::DType::I32;
  length.lengthOf = 1;
  plan.fields.push_back(std::move(length));
  plan.columns.emplace_back();
  return true;
}

bool Instantiator::readText(const ast::Expr& e, const ast::Call& call, plan::Source& plan, Source& source, Env& env) {
  if (!readPath(e, call, "text", "1 file", plan, env)) {
    return false;
  }
  bool ok = true;
  std::optional<int64_t> window;
  std::optional<int64_t> stride;
  const ast::Name* rowOption = nullptr; // other than `split`
  TokenOptions options;
  for (const ast::Arg& arg : call.args) {
    if (!arg.name) {
      continue;
    }
    const std::string& name = arg.name->text;
    if (std::optional<bool> read = readTokenOption(arg, plan, options, env)) {
      ok &= *read;
    } else if (name == "window") {
      window = evalOption(*arg.value, env, "window", 1, kMostWindow);
      ok &= window.has_value();
    } else if (name == "stride") {
      stride = evalOption(*arg.value, env, "stride", 1, kMostWindow);
      ok &= stride.has_value();
    } else if (name == "lines") {
      std::optional<bool> lines = evalStaticBool(*arg.value, env, "`lines`");
      ok &= lines.has_value();
      plan.text.lines = lines.value_or(false);
    } else if (isRowOption(name)) {
      ok &= readRowOption(arg, plan, env);
      rowOption = name == "split" ? rowOption : &*arg.name;
    } else {
      ok = unknownOption("text", *arg.name,
                         {"unit", "window", "stride", "lines", "max", "vocab", "split", "split_seed", "fold", "folds"});
    }
  }
  if (ok && plan.text.lines) {
    if (window || stride) {
      error<DiagId::lines_and_windows>(call.callee->range, window ? "window" : "stride");
      return false;
    }
    if (!options.most) {
      error<DiagId::missing_argument>(call.callee->range, "text", "max")
          .hint("write how many tokens a line has at most: `max = 128`");
      return false;
    }
    ok = checkFolds(call.callee->range, plan);
  } else if (ok && (options.most || rowOption)) {
    error<DiagId::windows_option>(options.most ? call.callee->range : rowOption->range,
                                  options.most ? "max" : rowOption->text);
    return false;
  }
  if (ok && !window && !plan.text.lines) {
    error<DiagId::missing_argument>(call.callee->range, "text", "window")
        .hint(
            "write how many tokens an example has, `window = 64`, or that each line is one: `lines = true, max = 128`");
    return false;
  }
  int64_t limit = 0;
  std::string file;
  ok = ok && (!options.vocabulary || readVocabulary(*options.vocabulary, plan, limit, file, env));
  if (!ok) {
    return false;
  }
  if (plan.text.lines) {
    plan.maxLength = *options.most;
    plan.fields = {field("t"), field("length")};
  } else {
    plan.text.window = *window;
    plan.text.stride = stride.value_or(*window);
    plan.fields = {field("t"), field("u")};
  }
  return lookUp(e.range, plan, source, limit, file);
}

bool Instantiator::readVocabulary(const ast::Expr& e, plan::Source& plan, int64_t& limit, std::string& file, Env& env) {
  if (plan.text.unit == plan::TextRule::Unit::Byte) {
    error<DiagId::vocabulary_of_bytes>(e.range);
    return false;
  }
  Value value = eval(e, env);
  if (value.poisoned()) {
    return false;
  }
  if (auto* text = value.as<StaticStr>()) {
    if (text->value.empty()) {
      error<DiagId::empty_path>(e.range);
    }
    file = text->value;
    return !text->value.empty();
  }
  if (auto* ref = value.as<SourceRef>()) {
    const plan::Source& other = program_.plan.sources[ref->source];
    if (sources_[ref->source].failed) {
      return false;
    }
    bool tokens = std::any_of(other.fields.begin(), other.fields.end(), [](auto& f) { return !f.text.empty(); });
    if (!tokens || other.text.unit != plan.text.unit) {
      error<DiagId::other_vocabulary>(e.range, other.name)
          .note(sources_[ref->source].name.range, "it is declared here");
      return false;
    }
    plan.vocabulary = other.vocabulary;
    plan.text.unknown = other.text.unknown;
    return true;
  }
  std::optional<int64_t> count = evalOption(e, env, "vocab", 2, int64_t{1} << 24);
  limit = count.value_or(0);
  return count.has_value();
}

} // namespace dnn::sema
