// sweep lr in [1e-3, 1e-2], seed in 1..5: names that have another value in each combination of the program.
#include "compiler/sema/instantiator.h"

#include <charconv>

namespace dnn::sema {

namespace {

/// As tables and file names show it; empty for what cannot be swept over.
std::string shownValue(const Value& value) {
  if (auto* n = value.as<StaticInt>(); n && n->value.isStatic()) {
    return std::to_string(n->value.constant());
  }
  if (auto* n = value.as<StaticFloat>()) {
    char buffer[40];
    return {buffer, std::to_chars(buffer, buffer + sizeof buffer, n->value).ptr};
  }
  if (auto* b = value.as<StaticBool>()) {
    return b->value ? "true" : "false";
  }
  auto* s = value.as<StaticStr>();
  return s ? s->value : "";
}

} // namespace

std::vector<Value> Instantiator::sweepValues(const ast::Sweep::Item& item, Env& env) {
  constexpr int64_t most = 1000;
  if (auto* range = ast::getIf<ast::Range>(*item.values)) {
    std::optional<int64_t> from = evalStaticInt(*range->from, env, "the first value");
    std::optional<int64_t> to = evalStaticInt(*range->to, env, "the last value");
    std::vector<Value> values;
    for (int64_t i = from.value_or(1); from && to && i <= *to && i - *from < most; ++i) {
      values.emplace_back(StaticInt{Dim(i)});
    }
    if (from && to && values.empty()) {
      error<DiagId::empty_sweep>(item.values->range, item.name.text);
    }
    return values;
  }
  Value value = eval(*item.values, env);
  auto* list = value.as<ListValue>();
  if (value.poisoned()) {
    return {};
  }
  if (!list || list->items.empty()) {
    error<DiagId::empty_sweep>(item.values->range, item.name.text);
    return {};
  }
  for (const Value& one : list->items) {
    if (shownValue(one).empty()) {
      if (!one.poisoned()) {
        error<DiagId::wrong_static_kind>(item.values->range, "a value of `" + item.name.text + "`",
                                         "a number, a bool or a string", describe(one));
      }
      return {};
    }
  }
  return list->items;
}

void Instantiator::runSweep(const ast::Sweep& sweep, Env& env) {
  constexpr size_t most = 1000;
  std::vector<std::vector<Value>> values;
  size_t combinations = 1;
  for (const ast::Sweep::Item& item : sweep.items) {
    values.push_back(sweepValues(item, env));
    combinations *= std::max<size_t>(values.back().size(), 1);
    if (combinations > most) {
      error<DiagId::too_many_combinations>(item.name.range, static_cast<int64_t>(most));
      combinations = 1;
    }
  }
  program_.combinations = combinations;
  size_t left = options_.combination;
  std::vector<plan::Setting> settings;
  for (size_t i = sweep.items.size(); i-- > 0;) {
    const ast::Name& name = sweep.items[i].name;
    Value value = values[i].empty() ? Value() : values[i][left % values[i].size()];
    left /= std::max<size_t>(values[i].size(), 1);
    settings.insert(settings.begin(), {name.text, shownValue(value)});
    env.scope->bind(name.text, std::move(value), name.range);
  }
  if (combinations > 1) {
    program_.plan.variant = std::move(settings);
  }
}

} // namespace dnn::sema
