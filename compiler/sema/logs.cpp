// What steps and evaluations log.
#include "compiler/sema/entries.h"
#include "compiler/sema/instantiator.h"

#include <algorithm>

namespace dnn::sema {

namespace {

/// [H, W], [H, W, 1 or 3], [K, H, W], [K, H, W, 1 or 3]: as the runtime reads them.
bool isPicture(const TensorType& type) {
  size_t rank = type.rank();
  bool channels = rank > 2 && (type.dims.back() == Dim(1) || type.dims.back() == Dim(3));
  return rank == 2 || rank == 3 || (rank == 4 && channels);
}

} // namespace

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
      brokenEvals_.insert(entry.name);
      continue;
    }
    bool fixed = std::all_of(t->type.dims.begin(), t->type.dims.end(), [](const Dim& d) { return d.isStatic(); });
    if (!fixed) {
      error<DiagId::log_of_batch>(item.value->range, item.name.text, str(t->type))
          .hint("reduce it, for instance with `mean(…)`");
      brokenEvals_.insert(entry.name);
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
