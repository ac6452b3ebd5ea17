// The ranges of indices. `sum[k] x[n, k] * w[k, o]`: k has no extent written, so the walk over the body finds the bare
// subscripts `k` and asks what they subscript; the first one gives the range, and evaluating the body checks that the
// others agree. Only values that do not depend on the indices in question can be asked.
#include "compiler/sema/ast_walk.h"
#include "compiler/sema/core_functions.h"
#include "compiler/sema/instantiator.h"
#include "compiler/sema/ranges.h"

#include <algorithm>

namespace dnn::sema {

namespace {

struct Found {
  std::vector<Dim> dims; // one; for a pack any number
  SourceRange where;
};

/// Visits the subscripts of an expression in the order of the text, skipping what an `if` decides now.
class Subscripts {
public:
  Subscripts(std::function<void(const ast::Subscript&)> visit,
             std::function<std::optional<bool>(const ast::Expr&)> decide)
      : visit_(std::move(visit)), decide_(std::move(decide)) {}

  void walk(const ast::Expr& e) {
    if (auto* subscript = ast::getIf<ast::Subscript>(e)) {
      visit_(*subscript);
    } else if (auto* b = ast::getIf<ast::Binary>(e); b && (b->op == ast::BinaryOp::And || b->op == ast::BinaryOp::Or)) {
      walk(*b->left);
      std::optional<bool> left = decide_(*b->left);
      if (!left || *left != (b->op == ast::BinaryOp::Or)) {
        walk(*b->right);
      }
      return;
    } else if (auto* branch = ast::getIf<ast::If>(e)) {
      std::optional<bool> known = decide_(*branch->condition);
      if (!known) {
        walk(*branch->condition);
      }
      if (known.value_or(true)) {
        walk(*branch->whenTrue);
      }
      if (!known.value_or(false)) {
        walk(*branch->whenFalse);
      }
      return;
    }
    children(e);
  }

private:
  std::function<void(const ast::Subscript&)> visit_;
  std::function<std::optional<bool>(const ast::Expr&)> decide_;

  void children(const ast::Expr& e) {
    forEachChild(e, [&](const ast::Expr& child) { walk(child); });
  }
};

/// All names of an expression, bound inside it or not.
void collectNames(const ast::Expr& e, std::set<std::string>& names) {
  if (const ast::Name* name = nameOf(e)) {
    names.insert(name->text);
  }
  forEachChild(e, [&](const ast::Expr& child) { collectNames(child, names); });
}

/// Index names that reductions inside the expression bind.
void collectBinders(const ast::Expr& e, std::set<std::string>& names) {
  if (auto* reduce = ast::getIf<ast::Reduce>(e)) {
    for (const ast::IndexBinder& binder : reduce->indices) {
      names.insert(binder.name.text);
    }
  }
  forEachChild(e, [&](const ast::Expr& child) { collectBinders(child, names); });
}

} // namespace

bool Instantiator::bindIndices(const std::vector<ast::IndexBinder>& binders,
                               const std::vector<const ast::Expr*>& bodies, Env& env, std::vector<IndexId>& indices,
                               const std::optional<Dim>& examples) {
  std::map<std::string, Found> found;
  std::set<std::string> wanted;  // binders without a range so far
  std::set<std::string> unbound; // names that mean nothing yet where a body is asked
  bool ok = true;
  for (const ast::IndexBinder& binder : binders) {
    const std::string& name = binder.name.text;
    unbound.insert(name);
    if (!binder.extent) {
      wanted.insert(name);
    } else if (binder.pack) {
      auto* ref = ast::getIf<ast::NameRef>(*binder.extent);
      auto* pref = ast::getIf<ast::PackRef>(*binder.extent);
      const Binding* b = ref ? env.scope->find(ref->name.text) : pref ? env.scope->find(pref->name.text) : nullptr;
      auto* pack = b ? b->value.as<DimPack>() : nullptr;
      if (!pack) {
        error<DiagId::not_a_dim_pack>(binder.extent->range, ast::print(*binder.extent));
        ok = false;
        continue;
      }
      found[name] = {pack->dims, binder.extent->range};
    } else if (std::optional<Dim> extent = evalDim(*binder.extent, env)) {
      if (extent->min(out_->symbols()) < 1) {
        error<DiagId::extent_not_positive>(binder.extent->range, name, str(*extent));
        ok = false;
      } else if (extent->max(out_->symbols()) > INT32_MAX) {
        error<DiagId::extent_too_large>(binder.extent->range, name, str(*extent));
        ok = false;
      }
      found[name] = {{*extent}, binder.extent->range};
    } else {
      ok = false;
    }
  }
  for (const ast::Expr* body : bodies) {
    collectBinders(*body, unbound);
  }

  // An `if` or `and` whose condition is known now: the dead side may not even make sense.
  std::function<std::optional<bool>(const ast::Expr&)> decide = [&](const ast::Expr& e) -> std::optional<bool> {
    if (auto* b = ast::getIf<ast::Binary>(e); b && (b->op == ast::BinaryOp::And || b->op == ast::BinaryOp::Or)) {
      std::optional<bool> left = decide(*b->left);
      bool decisive = b->op == ast::BinaryOp::Or;
      if (left && *left == decisive) {
        return left;
      }
      return left ? decide(*b->right) : std::nullopt;
    }
    if (auto* u = ast::getIf<ast::Unary>(e); u && u->op == ast::UnaryOp::Not) {
      std::optional<bool> operand = decide(*u->operand);
      return operand ? std::optional(!*operand) : std::nullopt;
    }
    std::set<std::string> names;
    collectNames(e, names);
    for (const std::string& name : names) {
      const Binding* b = env.scope->find(name);
      bool dynamic = unbound.contains(name) ||
                     (b && (b->value.as<Tensor>() || b->value.as<IndexPack>() || b->value.poisoned())) ||
                     (!b && name != "training");
      if (dynamic) {
        return std::nullopt;
      }
    }
    if (ast::getIf<ast::Reduce>(e) || ast::getIf<ast::Subscript>(e)) {
      return std::nullopt;
    }
    Value value = eval(e, env);
    auto* known = value.as<StaticBool>();
    return known ? std::optional(known->value) : std::nullopt;
  };

  // A gradient has the shape of what it is taken with respect to, whatever the loss is.
  auto shapedLike = [&](const ast::Expr& base) -> const ast::Expr& {
    auto* call = ast::getIf<ast::Call>(base);
    auto* callee = call ? ast::getIf<ast::NameRef>(*call->callee) : nullptr;
    std::optional<CoreFn> core =
        callee && !env.scope->find(callee->name.text) ? findCoreFn(callee->name.text) : std::nullopt;
    return core && core->kind == CoreFn::Kind::Grad && call->args.size() == 2 ? *call->args[1].value : base;
  };

  auto ask = [&](const ast::Subscript& subscript) {
    const ast::Expr& shape = shapedLike(*subscript.base);
    bool useful = false;
    for (const ast::ExprPtr& item : subscript.items) {
      auto* ref = ast::getIf<ast::NameRef>(*item);
      auto* pack = ast::getIf<ast::PackRef>(*item);
      useful |= (ref && wanted.contains(ref->name.text)) || (pack && wanted.contains(pack->name.text));
    }
    std::set<std::string> names;
    collectNames(shape, names);
    for (const std::string& name : names) {
      useful &= !unbound.contains(name);
    }
    if (!useful) {
      return;
    }
    Value base = evalBase(shape, env);
    auto* t = base.as<Tensor>();
    if (!t) {
      return;
    }
    // How many dimensions each item takes; at most one pack may be unknown.
    size_t rank = t->type.rank();
    size_t taken = 0;
    const ast::Expr* open = nullptr;
    for (const ast::ExprPtr& item : subscript.items) {
      auto* pack = ast::getIf<ast::PackRef>(*item);
      if (!pack) {
        ++taken;
        continue;
      }
      const Binding* b = unbound.contains(pack->name.text) ? nullptr : env.scope->find(pack->name.text);
      auto* known = b ? b->value.as<IndexPack>() : nullptr;
      if (known) {
        taken += known->indices.size();
      } else if (auto it = found.find(pack->name.text); it != found.end()) {
        taken += it->second.dims.size();
      } else if (open) {
        return;
      } else {
        open = item.get();
      }
    }
    if (taken > rank || (!open && taken != rank)) {
      reportSubscriptCount(subscript.base->range, taken, shape, t->type);
      for (const ast::ExprPtr& item : subscript.items) {
        if (const ast::Name* name = nameOf(*item)) {
          wanted.erase(name->text);
        }
      }
      return;
    }
    size_t at = 0;
    for (const ast::ExprPtr& item : subscript.items) {
      if (auto* pack = ast::getIf<ast::PackRef>(*item)) {
        const Binding* b = unbound.contains(pack->name.text) ? nullptr : env.scope->find(pack->name.text);
        auto* known = b ? b->value.as<IndexPack>() : nullptr;
        auto it = found.find(pack->name.text);
        size_t width = item.get() == open ? rank - taken : known ? known->indices.size() : it->second.dims.size();
        if (wanted.erase(pack->name.text) != 0) {
          auto first = t->type.dims.begin() + static_cast<std::ptrdiff_t>(at);
          found[pack->name.text] = {{first, first + static_cast<std::ptrdiff_t>(width)}, item->range};
        }
        at += width;
        continue;
      }
      auto* ref = ast::getIf<ast::NameRef>(*item);
      if (ref && wanted.erase(ref->name.text) != 0) {
        found[ref->name.text] = {{t->type.dims[at]}, item->range};
      }
      ++at;
    }
  };
  // Until nothing new is found: a pack may become known after the subscript that needs it was passed.
  size_t before = wanted.size() + 1;
  while (!wanted.empty() && wanted.size() < before) {
    before = wanted.size();
    for (const ast::Expr* body : bodies) {
      Subscripts(ask, decide).walk(*body);
    }
  }

  for (const ast::IndexBinder& binder : binders) {
    const std::string& name = binder.name.text;
    auto it = found.find(name);
    if (it == found.end() && &binder == &binders.front() && examples && !binder.pack && !binder.extent) {
      // The first index of a generated tensor counts the examples.
      it = found.emplace(name, Found{{*examples}, binder.name.range}).first;
    }
    if (it == found.end()) {
      if (wanted.contains(name) && !tooDeep_) {
        bool silent = false; // what would have given the range is an error itself
        for (const ast::Expr* body : bodies) {
          std::set<std::string> names;
          collectNames(*body, names);
          for (const std::string& used : names) {
            const Binding* b = env.scope->find(used);
            silent |= b && b->value.poisoned();
          }
        }
        if (!silent && (!env.bases || std::none_of(env.bases->begin(), env.bases->end(),
                                                   [](auto& base) { return base.second.poisoned(); }))) {
          error<DiagId::index_without_range>(binder.name.range, name)
              .hint("write `" + name + ": extent`, or use it as a bare subscript");
        }
      }
      ok = false;
      env.scope->bind(name, Poison{}, binder.name.range);
      continue;
    }
    bool inferred = !binder.extent;
    if (binder.pack) {
      IndexPack pack;
      for (size_t i = 0; i < it->second.dims.size(); ++i) {
        std::string suffix = it->second.dims.size() == 1 ? "" : std::to_string(i);
        pack.indices.push_back(out_->addIndex(name + suffix, it->second.dims[i], it->second.where, inferred));
      }
      indices.insert(indices.end(), pack.indices.begin(), pack.indices.end());
      env.scope->bind(name, pack, binder.name.range);
    } else {
      IndexId index = out_->addIndex(name, it->second.dims[0], it->second.where, inferred);
      indices.push_back(index);
      env.scope->bind(name, scalar(makeIndex(index, binder.name.range)), binder.name.range);
    }
  }
  return ok;
}

} // namespace dnn::sema
