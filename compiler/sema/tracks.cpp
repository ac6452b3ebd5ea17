// track slow = net with rule: an instance whose parameters follow those of another one. They are states; after each
// step the rule makes their new values from the old ones and net's new parameters. The states of `net` are the same for
// both.
#include "compiler/sema/instantiator.h"

#include <utility>

namespace dnn::sema {

namespace {

/// The value with copies, still without names, of the instances that belong to `owner`, a path.
Value cloned(const Value& value, const std::string& owner) {
  if (auto* instance = value.as<InstancePtr>()) {
    if ((*instance)->path != owner && !(*instance)->path.starts_with(owner + ".")) {
      return value; // of someone else; both use it
    }
    auto copy = std::make_shared<Instance>(**instance);
    for (auto& [name, part] : copy->statics) {
      part = cloned(part, copy->path);
    }
    copy->path.clear();
    return InstancePtr(std::move(copy));
  }
  if (auto* list = value.as<InstanceList>()) {
    InstanceList copies;
    for (const Value& item : list->items) {
      copies.items.push_back(cloned(item, owner));
    }
    return copies;
  }
  if (auto* again = value.as<Recomputed>()) {
    return Recomputed{std::make_shared<const Value>(cloned(*again->callee, owner))};
  }
  return value;
}

} // namespace

void Instantiator::runTrack(const ast::Stmt& stmt, const ast::Track& track, Env& env) {
  Value of = evalName(track.of, env);
  Value rule = eval(*track.rule, env);
  Value copy = Poison{};
  if (of.as<InstancePtr>() || of.as<InstanceList>()) {
    copy = cloned(of, track.of.text);
  } else if (!of.poisoned()) {
    error<DiagId::not_an_instance>(track.of.range, track.of.text, describe(of));
  }
  auto* fn = rule.as<FnValue>();
  bool fits = fn && fn->applied && fn->decl->signature.params.size() == 3;
  if (!fits && !rule.poisoned()) {
    auto report = error<DiagId::not_a_tracking_rule>(track.rule->range, describe(rule));
    if (fn && !fn->applied) {
      report.hint("apply its statics: `" + fn->decl->signature.name.text + "(…)`");
    }
  }
  if (fits && !copy.poisoned()) {
    // Named before anything can call it, so that its parameters are known as followers.
    copy = nameInstances(std::move(copy), track.name, env);
    tracks_.push_back({track.name.text, track.of.text, *fn, stmt.range, {}});
  }
  env.scope->bind(track.name.text, fits ? std::move(copy) : Value(), track.name.range);
}

Instantiator::Track* Instantiator::trackOf(const std::string& path) {
  for (Track& track : tracks_) {
    if (path == track.name || path.starts_with(track.name + ".")) {
      return &track;
    }
  }
  return nullptr;
}

PersistentId Instantiator::declareFollower(Track& track, const std::string& path, PersistentId leader,
                                           SourceRange range) {
  auto [known, inserted] = persistentIds_.emplace(path, static_cast<PersistentId>(program_.persistents.size()));
  if (!inserted) {
    return known->second;
  }
  PersistentId id = known->second;
  // In f32, or a slow average of floats of 16 bits would never move.
  const TensorType type = gradientType(program_.persistents[leader].type);
  program_.persistents.push_back({plan::Persistent::Kind::State, path, type, range, leader});
  FunctionBuilder* caller = std::exchange(out_, &entries_[0]);
  Tensor start = widened(variable(out_->versions(leader).back()), range);
  out_->update(id, store(start, path.substr(path.rfind('.') + 1), range), range);
  out_ = caller;
  track.pairs.emplace_back(id, leader);
  return id;
}

void Instantiator::updateFollowers() {
  for (Track& track : tracks_) {
    for (auto [follower, leader] : track.pairs) {
      const std::string path = program_.persistents[follower].path;
      EntryBody body(Env{track.rule.scope}, "track/" + path);
      std::vector<Argument> args = {{nullptr, readPersistent(follower, track.range), track.range},
                                    {nullptr, readPersistent(leader, track.range), track.range},
                                    {nullptr, stepCount(track.range), track.range}};
      Value value = callFn(track.rule, std::move(args), track.range, body.env);
      updateWith(follower, value, track.range);
    }
  }
}

} // namespace dnn::sema
