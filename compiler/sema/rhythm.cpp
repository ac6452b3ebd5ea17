// What `minimize` has behind its optimizer: in which steps it updates, over how many batches it averages, what its
// gradients pass through. A step that is not the same each time becomes several entries that take turns.
#include "compiler/sema/instantiator.h"

#include <numeric>

namespace dnn::sema {

namespace {

void collectMinimizes(const ast::Block& block, std::vector<const ast::Minimize*>& found) {
  for (const ast::StmtPtr& stmt : block.stmts) {
    if (auto* minimize = std::get_if<ast::Minimize>(&stmt->node)) {
      found.push_back(minimize);
    } else if (auto* when = std::get_if<ast::When>(&stmt->node)) {
      for (const ast::When::Branch& branch : when->branches) {
        collectMinimizes(branch.body, found);
      }
      if (when->otherwise) {
        collectMinimizes(*when->otherwise, found);
      }
    }
  }
}

} // namespace

Instantiator::Mode Instantiator::Rhythm::at(int64_t turn) const {
  if ((turn + 1) % every != 0) {
    return Mode::Rest;
  }
  return (turn + 1) / every % accumulate == 0 ? Mode::Apply : Mode::Gather;
}

bool Instantiator::updatesInEveryStep(const ast::Block& program) {
  size_t steps = 0;
  bool all = true;
  for (const ast::StmtPtr& stmt : program.stmts) {
    if (auto* step = std::get_if<ast::Step>(&stmt->node)) {
      ++steps;
      std::vector<const ast::Minimize*> minimizes;
      collectMinimizes(step->body, minimizes);
      for (const ast::Minimize* minimize : minimizes) {
        all = all && !minimize->every && !minimize->accumulate;
      }
    }
  }
  return all && steps <= 1;
}

std::optional<std::vector<Instantiator::Rhythm>> Instantiator::rhythmsOf(const ast::Block& body, Env& env) {
  std::vector<const ast::Minimize*> minimizes;
  collectMinimizes(body, minimizes);
  std::vector<Rhythm> rhythms;
  constexpr int64_t most = 1000;
  auto read = [&](const ast::Expr& e, const char* what, int64_t& out) {
    std::optional<int64_t> value = evalStaticInt(e, env, what);
    if (value && (*value < 1 || *value > most)) {
      error<DiagId::option_out_of_range>(e.range, what, *value, 1);
      value.reset();
    }
    out = value.value_or(1);
    return value.has_value();
  };
  bool ok = true;
  for (const ast::Minimize* minimize : minimizes) {
    Rhythm rhythm{minimize};
    if (minimize->every && minimize->every->unit != ast::Every::Unit::Step) {
      error<DiagId::minimize_every_epoch>(minimize->every->range);
      ok = false;
    } else if (minimize->every && minimize->every->count) {
      ok = read(*minimize->every->count, "every", rhythm.every) && ok;
    }
    if (minimize->accumulate) {
      ok = read(*minimize->accumulate, "accumulate", rhythm.accumulate) && ok;
    }
    rhythms.push_back(rhythm);
  }
  return ok ? std::optional(std::move(rhythms)) : std::nullopt;
}

std::optional<int64_t> Instantiator::cycleOf(const std::vector<Rhythm>& rhythms) {
  constexpr int64_t most = 5000;
  int64_t cycle = 1;
  for (const Rhythm& rhythm : rhythms) {
    cycle = std::lcm(cycle, rhythm.every * rhythm.accumulate);
    if (cycle > most) {
      error<DiagId::cycle_too_long>(rhythm.minimize->loss->range, most)
          .hint("choose numbers that divide each other, for instance 4 and 8");
      return std::nullopt;
    }
  }
  return cycle;
}

Tensor Instantiator::stepCount(SourceRange range) {
  size_t entry = entries_.size();
  for (size_t i = 0; i < entries_.size(); ++i) {
    entry = out_ == &entries_[i] ? i : entry;
  }
  auto known = stepCounts_.find(entry);
  if (known == stepCounts_.end()) {
    TensorType type{DType::I32, {}, std::nullopt};
    VarId step = out_->addVar("step", type);
    out_->emit(range, ReadEnv{step, ReadEnv::What::Step});
    ScalarPtr next = makeApply(
        ScalarOp::Add,
        {makeScalar(DType::I32, range, Access{step, {}, std::nullopt}), makeInteger(1, DType::I32, range)}, range);
    known = stepCounts_.emplace(entry, out_->emitLet("t", type, {}, next, range)).first;
  }
  return variable(known->second);
}

Tensor Instantiator::updateCount(const std::string& optimizer, SourceRange range) {
  if (everyStepUpdates_) {
    return stepCount(range);
  }
  // Steps in which the optimizer rests are no updates, so it counts for itself.
  auto [known, inserted] = updateCounts_.try_emplace({entries_.size() - 1, optimizer});
  if (inserted) {
    TensorType type{DType::I32, {}, std::nullopt};
    PersistentId id = declareZero(plan::Persistent::Kind::OptimizerState, optimizer + ".t", type, range);
    Value next = binaryValue(ast::BinaryOp::Add, readPersistent(id, range), StaticInt{Dim(1)}, range, range, range);
    known->second = store(*next.as<Tensor>(), "t", range);
    out_->update(id, known->second, range);
  }
  return variable(known->second);
}

namespace {

std::string lastPart(const std::string& path) { return path.substr(path.rfind('.') + 1); }

} // namespace

void Instantiator::gather(const ast::Minimize& minimize, const std::string& optimizer,
                          const std::vector<PersistentId>& parameters, const std::vector<Value>& gradients,
                          SourceRange range) {
  auto examples = [&](DType type) {
    Value n = out_->function.symbols.empty() ? Value(StaticInt{Dim(1)}) : Value(StaticInt{Dim::symbol(0)});
    return callCast(type, *toTensor(n, range), range, range);
  };
  auto add = [&](PersistentId id, const Value& more) {
    updateWith(id, binaryValue(ast::BinaryOp::Add, readPersistent(id, range), more, range, range, range), range);
  };
  std::string count = optimizer + ".examples/" + program_.persistents[parameters[0]].path;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Persistent p = program_.persistents[parameters[i]];
    const TensorType type = gradientType(p.type);
    PersistentId sum =
        declareZero(plan::Persistent::Kind::OptimizerState, optimizer + ".sum/" + p.path, type, minimize.loss->range);
    if (!gathered_.emplace(entries_.size() - 1, sum).second) {
      error<DiagId::gathered_twice>(range, p.path, optimizer).hint("declare another optimizer for one of them");
      return;
    }
    add(sum, binaryValue(ast::BinaryOp::Mul, gradients[i], examples(type.dtype), range, range, range));
  }
  PersistentId id = declareZero(plan::Persistent::Kind::OptimizerState, count, {DType::F32, {}, std::nullopt}, range);
  add(id, examples(DType::F32));
}

void Instantiator::averageGathered(const ast::Minimize& minimize, const std::string& optimizer,
                                   const std::vector<PersistentId>& parameters, std::vector<Value>& gradients,
                                   SourceRange range) {
  gather(minimize, optimizer, parameters, gradients, range);
  std::string count = optimizer + ".examples/" + program_.persistents[parameters[0]].path;
  auto counted = persistentIds_.find(count);
  if (counted == persistentIds_.end()) {
    return; // reported
  }
  auto clear = [&](PersistentId id) {
    const TensorType type = program_.persistents[id].type;
    std::vector<IndexId> indices = freshIndices(type.dims, range);
    out_->update(id, out_->emitLet("zero", type, indices, makeNumber(0, type.dtype, range), range), range);
  };
  Tensor examples = readPersistent(counted->second, range);
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Persistent p = program_.persistents[parameters[i]];
    PersistentId sum = persistentIds_.at(optimizer + ".sum/" + p.path);
    Value average = binaryValue(ast::BinaryOp::Div, readPersistent(sum, range),
                                callCast(computedAs(p.type.dtype), examples, range, range), range, range, range);
    gradients[i] = variable(store(*average.as<Tensor>(), "d_" + lastPart(p.path), range));
    clear(sum);
  }
  clear(counted->second);
}

void Instantiator::passThrough(const ast::Minimize& minimize, const std::string& optimizer,
                               const std::vector<PersistentId>& parameters, std::vector<Value>& gradients, Env& env) {
  for (const ast::ExprPtr& e : minimize.through) {
    Value value = eval(*e, env);
    auto* fn = value.as<FnValue>();
    if (!fn || !fn->applied || fn->decl->signature.params.size() != 2) {
      if (!value.poisoned()) {
        auto report = error<DiagId::not_a_gradient_function>(e->range, describe(value));
        if (fn && !fn->applied) {
          report.hint("apply its statics: `" + fn->decl->signature.name.text + "(…)`");
        }
      }
      return;
    }
    // Of all gradients as this function finds them. What nothing uses is not computed.
    Value squares = StaticInt{Dim(0)};
    for (const Value& gradient : gradients) {
      const Tensor& g = *gradient.as<Tensor>();
      std::vector<IndexId> indices = freshIndices(g.type.dims, e->range);
      std::vector<ScalarPtr> subscripts;
      for (IndexId index : indices) {
        subscripts.push_back(makeIndex(index, e->range));
      }
      ScalarPtr at = element(g, subscripts, e->range);
      ScalarPtr square = makeApply(ScalarOp::Mul, {at, at}, e->range);
      Tensor sum = scalar(
          indices.empty() ? square
                          : makeScalar(g.type.dtype, e->range, Reduce{Reduce::Kind::Sum, indices, nullptr, square}));
      Value single = callCast(DType::F32, variable(store(sum, "square", e->range)), e->range, e->range);
      squares = binaryValue(ast::BinaryOp::Add, squares, single, e->range, e->range, e->range);
    }
    Value root = applyOp(ScalarOp::Sqrt, {*squares.as<Tensor>()}, {e->range}, e->range);
    Tensor norm = variable(store(*root.as<Tensor>(), "norm", e->range));
    for (size_t i = 0; i < parameters.size(); ++i) {
      const Persistent p = program_.persistents[parameters[i]];
      EntryBody body(env, optimizer + "/through/" + p.path);
      Value changed = callFn(*fn, {{nullptr, gradients[i], e->range}, {nullptr, norm, e->range}}, e->range, body.env);
      auto* t = changed.as<Tensor>();
      if (changed.poisoned() || !t) {
        return;
      }
      if (t->type.dims != p.type.dims || t->type.dtype != computedAs(p.type.dtype)) {
        error<DiagId::type_mismatch>(e->range, "the gradient of `" + p.path + "`", str(gradientType(p.type)),
                                     str(t->type));
        return;
      }
      gradients[i] = variable(store(*t, "d_" + lastPart(p.path), e->range));
    }
  }
}

} // namespace dnn::sema
