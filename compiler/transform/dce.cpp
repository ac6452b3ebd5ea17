// Removes ops whose results nobody uses, and helper functions that nobody calls any more.
#include "compiler/transform/pass_manager.h"

#include <string>
#include <unordered_set>

namespace dnn::transform {

namespace {

/// Helpers named by calls, and their rules. Helpers call each other.
std::unordered_set<std::string> calledHelpers(const graph::Module& module) {
  std::unordered_set<std::string> called;
  for (const auto& function : module.functions) {
    graph::forEachOp(function->body, [&](const graph::Op* op) {
      if (op->kind == graph::OpKind::CallVjp) {
        called.insert(op->symbol);
        called.insert(op->symbol + ".vjp");
      } else if (op->kind == graph::OpKind::Group && !op->symbol.empty()) {
        called.insert(op->symbol); // its kernel
      }
    });
  }
  return called;
}

} // namespace

Result<Changed> dce(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    changed = changed | (graph::eraseDeadOps(*function) ? Changed::Yes : Changed::No);
  }
  // A module of helpers alone is a library: nothing in it is dead.
  bool hasEntry = false;
  for (const auto& function : module.functions) {
    hasEntry |= function->kind != graph::FunctionKind::Helper;
  }
  for (bool removed = hasEntry; removed;) {
    std::unordered_set<std::string> called = calledHelpers(module);
    removed = std::erase_if(module.functions, [&](const auto& function) {
                return function->kind == graph::FunctionKind::Helper && !called.contains(function->name);
              }) > 0;
    changed = changed | (removed ? Changed::Yes : Changed::No);
  }
  return changed;
}

} // namespace dnn::transform
