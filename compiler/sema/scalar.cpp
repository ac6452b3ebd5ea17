#include "compiler/sema/scalar.h"

#include "compiler/support/assert.h"

#include <algorithm>
#include <functional>
#include <unordered_map>
#include <unordered_set>

namespace dnn::sema {

ScalarPtr makeNumber(double value, DType dtype, diag::SourceRange range) {
  return makeScalar(dtype, range, Number{value});
}
ScalarPtr makeInteger(int64_t value, DType dtype, diag::SourceRange range) {
  return makeScalar(dtype, range, Integer{value});
}
ScalarPtr makeBool(bool value, diag::SourceRange range) { return makeScalar(DType::Bool, range, Integer{value}); }
ScalarPtr makeIndex(IndexId index, diag::SourceRange range) { return makeScalar(DType::I32, range, IndexRef{index}); }
ScalarPtr makeExtent(Dim extent, diag::SourceRange range) {
  return makeScalar(DType::I32, range, ExtentRef{std::move(extent)});
}
ScalarPtr makeCast(DType to, ScalarPtr value, diag::SourceRange range) {
  if (value->dtype == to) {
    return value;
  }
  auto* inner = std::get_if<Cast>(&value->node);
  if (isStorageOnly(to) && inner && inner->value->dtype == to) {
    return inner->value; // widened and narrowed again
  }
  bool single = value->dtype == DType::F32 || to == DType::F32;
  if (!single && (isStorageOnly(to) || isStorageOnly(value->dtype))) {
    value = makeScalar(DType::F32, range, Cast{std::move(value)}); // floats of 16 bits convert from and to f32 alone
  }
  return makeScalar(to, range, Cast{std::move(value)});
}

ScalarPtr makeApply(ScalarOp op, std::vector<ScalarPtr> args, diag::SourceRange range) {
  DType dtype = infoOf(op).result == ScalarResult::Bool ? DType::Bool : args.back()->dtype;
  return makeScalar(dtype, range, Apply{op, std::move(args)});
}

namespace {

void collectFree(const ScalarPtr& s, std::set<IndexId>& bound, std::set<IndexId>& free,
                 std::unordered_set<const Scalar*>& seen) {
  // A node that was seen under other binders may be skipped: no index is bound in one place and free in another.
  if (!seen.insert(s.get()).second) {
    return;
  }
  if (auto* index = std::get_if<IndexRef>(&s->node)) {
    free.insert(index->index);
  } else if (auto* draw = std::get_if<Draw>(&s->node)) {
    free.insert(draw->coordinates.begin(), draw->coordinates.end());
  } else if (auto* reduce = std::get_if<Reduce>(&s->node)) {
    bound.insert(reduce->indices.begin(), reduce->indices.end());
  }
  forEachChild(*s, [&](const ScalarPtr& child) { collectFree(child, bound, free, seen); });
}

struct Substitution {
  FunctionBuilder& function;
  std::map<IndexId, ScalarPtr> replace;
  std::optional<VarId> step; // that draws count: these instead
  std::vector<VarId> steps;
  std::unordered_map<const Scalar*, ScalarPtr> done;

  std::vector<ScalarPtr> all(const std::vector<ScalarPtr>& parts, bool& changed) {
    std::vector<ScalarPtr> out;
    for (const ScalarPtr& part : parts) {
      out.push_back(run(part));
      changed |= out.back() != part;
    }
    return out;
  }

  ScalarPtr run(const ScalarPtr& s) {
    if (auto known = done.find(s.get()); known != done.end()) {
      return known->second;
    }
    ScalarPtr made = make(s);
    done[s.get()] = made;
    return made;
  }

  ScalarPtr make(const ScalarPtr& s) {
    bool changed = false;
    if (auto* index = std::get_if<IndexRef>(&s->node)) {
      auto it = replace.find(index->index);
      return it == replace.end() ? s : it->second;
    }
    if (auto* access = std::get_if<Access>(&s->node)) {
      Access copy{access->var, all(access->subscripts, changed), access->fill};
      return changed ? makeScalar(s->dtype, s->range, std::move(copy)) : s;
    }
    if (auto* apply = std::get_if<Apply>(&s->node)) {
      Apply copy{apply->op, all(apply->args, changed)};
      return changed ? makeScalar(s->dtype, s->range, std::move(copy)) : s;
    }
    if (auto* cast = std::get_if<Cast>(&s->node)) {
      ScalarPtr value = run(cast->value);
      return value == cast->value ? s : makeScalar(s->dtype, s->range, Cast{value});
    }
    if (auto* draw = std::get_if<Draw>(&s->node)) {
      Draw copy = *draw;
      for (IndexId& coordinate : copy.coordinates) {
        if (auto it = replace.find(coordinate); it != replace.end()) {
          auto* index = std::get_if<IndexRef>(&it->second->node);
          DNN_ASSERT(index, "an index that a draw counts is only ever renamed");
          coordinate = index->index;
          changed = true;
        }
      }
      if (auto at = std::ranges::find(copy.steps, step.value_or(0)); step && at != copy.steps.end()) {
        at = copy.steps.erase(at);
        copy.steps.insert(at, steps.begin(), steps.end());
        changed = true;
      }
      return changed ? makeScalar(s->dtype, s->range, std::move(copy)) : s;
    }
    if (auto* reduce = std::get_if<Reduce>(&s->node)) {
      ScalarPtr guard = reduce->guard ? run(reduce->guard) : nullptr;
      ScalarPtr body = run(reduce->body);
      if (guard == reduce->guard && body == reduce->body) {
        return s;
      }
      std::map<IndexId, ScalarPtr> renamed;
      Reduce copy{reduce->kind, {}, guard, body};
      for (IndexId index : reduce->indices) {
        const IndexInfo info = function.function.indices[index];
        FunctionBuilder::IndexOrigin origin = function.origin(index);
        IndexId fresh = function.addIndex(info.name, info.extent, origin.where, origin.inferred);
        copy.indices.push_back(fresh);
        renamed[index] = makeIndex(fresh, s->range);
      }
      if (guard) {
        copy.guard = substitute(function, guard, renamed);
      }
      copy.body = substitute(function, body, renamed);
      return makeScalar(s->dtype, s->range, std::move(copy));
    }
    return s;
  }
};

} // namespace

std::set<IndexId> freeIndices(const ScalarPtr& root) {
  std::set<IndexId> bound;
  std::set<IndexId> free;
  std::unordered_set<const Scalar*> seen;
  collectFree(root, bound, free, seen);
  for (IndexId index : bound) {
    free.erase(index);
  }
  return free;
}

ScalarPtr substitute(FunctionBuilder& function, const ScalarPtr& root, const std::map<IndexId, ScalarPtr>& replace) {
  return replace.empty() ? root : Substitution{function, replace, std::nullopt, {}, {}}.run(root);
}

ScalarPtr withDrawSteps(FunctionBuilder& function, const ScalarPtr& root, VarId step, const std::vector<VarId>& steps) {
  return Substitution{function, {}, step, steps, {}}.run(root);
}

bool literalsFit(const ScalarPtr& root, DType to) {
  if (isStorageOnly(to)) {
    return false;
  }
  if (auto* integer = std::get_if<Integer>(&root->node); integer && root->dtype != DType::Bool) {
    switch (to) {
    case DType::F32:
    case DType::F64:
    case DType::I64: return true;
    case DType::I32: return integer->value >= INT32_MIN && integer->value <= INT32_MAX;
    case DType::U32: return integer->value >= 0 && integer->value <= UINT32_MAX;
    case DType::U8: return integer->value >= 0 && integer->value <= UINT8_MAX;
    case DType::BF16:
    case DType::F16:
    case DType::Bool: return false;
    }
  }
  if (std::get_if<Number>(&root->node)) {
    return isFloat(to);
  }
  bool fit = true;
  auto* apply = std::get_if<Apply>(&root->node);
  for (size_t i = apply && apply->op == ScalarOp::Select ? 1 : 0; apply && i < apply->args.size(); ++i) {
    fit = fit && literalsFit(apply->args[i], to);
  }
  return fit;
}

int64_t treeSize(const ScalarPtr& root, int64_t limit) {
  std::unordered_map<const Scalar*, int64_t> known;
  std::function<int64_t(const ScalarPtr&)> size = [&](const ScalarPtr& s) {
    if (auto it = known.find(s.get()); it != known.end()) {
      return it->second;
    }
    int64_t nodes = 1;
    forEachChild(*s, [&](const ScalarPtr& child) { nodes = std::min(limit, nodes + size(child)); });
    return known[s.get()] = nodes;
  };
  return size(root);
}

ScalarPtr convertLiterals(const ScalarPtr& root, DType to) {
  if (root->dtype == to) {
    return root;
  }
  if (auto* integer = std::get_if<Integer>(&root->node)) {
    return isFloat(to) ? makeNumber(static_cast<double>(integer->value), to, root->range)
                       : makeInteger(integer->value, to, root->range);
  }
  if (auto* number = std::get_if<Number>(&root->node)) {
    return makeNumber(number->value, to, root->range);
  }
  auto* apply = std::get_if<Apply>(&root->node);
  DNN_ASSERT(apply, "only literals and operators on them take another type");
  std::vector<ScalarPtr> args = apply->args;
  for (size_t i = apply->op == ScalarOp::Select ? 1 : 0; i < args.size(); ++i) {
    args[i] = convertLiterals(args[i], to);
  }
  return makeScalar(to, root->range, Apply{apply->op, std::move(args)});
}

} // namespace dnn::sema
