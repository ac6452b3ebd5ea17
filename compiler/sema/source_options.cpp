// The options of data sources.
#include "compiler/sema/source_options.h"
#include "compiler/sema/instantiator.h"
#include "compiler/sema/suggest.h"

#include <algorithm>
#include <cstdlib>

namespace dnn::sema {

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
