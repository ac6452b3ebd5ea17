#include "compiler/sema/statement_walk.h"

#include <unordered_set>

namespace dnn::sema {

namespace {

void forEachVar(const ScalarPtr& s, std::unordered_set<const Scalar*>& seen, const std::function<void(VarId)>& visit) {
  if (!seen.insert(s.get()).second) {
    return;
  }
  if (auto* access = std::get_if<Access>(&s->node)) {
    visit(access->var);
  }
  forEachChild(*s, [&](const ScalarPtr& child) { forEachVar(child, seen, visit); });
}

struct Uses {
  const std::function<void(VarId)>& visit;

  void all(const std::vector<VarId>& vars) const {
    for (VarId v : vars) {
      visit(v);
    }
  }
  void operator()(const Let& let) const {
    std::unordered_set<const Scalar*> seen;
    forEachVar(let.value, seen, visit);
  }
  void operator()(const ReadPersistent&) const {}
  void operator()(const ReadEnv&) const {}
  void operator()(const Reshape& reshape) const { visit(reshape.from); }
  void operator()(const Concat& concat) const { all(concat.parts); }
  void operator()(const Grad& grad) const {
    visit(grad.loss);
    all(grad.wrt);
  }
  void operator()(const CallVjp& call) const { all(call.args); }
  void operator()(const Scan& scan) const {
    for (const Scan::Carry& carry : scan.carries) {
      visit(carry.initial);
      visit(carry.next);
    }
    for (const Scan::Emit& emit : scan.emits) {
      visit(emit.value);
    }
    if (scan.until) {
      visit(*scan.until);
    }
    for (const Statement& stmt : scan.body) {
      forEachUse(stmt, visit);
    }
  }
  void operator()(const Update& update) const { visit(update.value); }
  void operator()(const Output& output) const { visit(output.value); }
};

struct Results {
  const std::function<void(VarId)>& visit;

  void operator()(const Let& let) const { visit(let.var); }
  void operator()(const ReadPersistent& read) const { visit(read.var); }
  void operator()(const ReadEnv& read) const { visit(read.var); }
  void operator()(const Reshape& reshape) const { visit(reshape.var); }
  void operator()(const Concat& concat) const { visit(concat.var); }
  void operator()(const Grad& grad) const {
    for (VarId v : grad.results) {
      visit(v);
    }
  }
  void operator()(const CallVjp& call) const {
    for (VarId v : call.results) {
      visit(v);
    }
  }
  void operator()(const Scan& scan) const {
    for (const Scan::Carry& carry : scan.carries) {
      visit(carry.last);
    }
    for (const Scan::Emit& emit : scan.emits) {
      visit(emit.stacked);
    }
  }
  void operator()(const Update&) const {}
  void operator()(const Output&) const {}
};

} // namespace

void forEachUse(const Statement& stmt, const std::function<void(VarId)>& visit) { std::visit(Uses{visit}, stmt.node); }

void forEachResult(const Statement& stmt, const std::function<void(VarId)>& visit) {
  std::visit(Results{visit}, stmt.node);
}

std::set<IndexId> freeIndices(const Statement& stmt) {
  std::set<IndexId> free;
  if (auto* let = std::get_if<Let>(&stmt.node)) {
    free = freeIndices(let->value);
    for (IndexId own : let->indices) {
      free.erase(own);
    }
  } else if (auto* scan = std::get_if<Scan>(&stmt.node)) {
    for (const Statement& inner : scan->body) {
      free.merge(freeIndices(inner));
    }
  }
  return free;
}

void rewriteScalars(Statement& stmt, const std::function<ScalarPtr(const ScalarPtr&)>& rewrite) {
  if (auto* let = std::get_if<Let>(&stmt.node)) {
    let->value = rewrite(let->value);
  } else if (auto* scan = std::get_if<Scan>(&stmt.node)) {
    for (Statement& inner : scan->body) {
      rewriteScalars(inner, rewrite);
    }
  }
}

} // namespace dnn::sema
