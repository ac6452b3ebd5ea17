// call_vjp @f(%x) → the body of @f. After differentiation nobody asks for f's own derivative rule any more; after this
// pass the helpers of calls are dead and no later pass meets a call.
#include "compiler/autodiff/inline_function.h"
#include "compiler/support/assert.h"
#include "compiler/transform/pass_manager.h"

#include <algorithm>

namespace dnn::transform {

namespace {

using graph::Op;
using graph::OpKind;

Changed inlineCallsIn(graph::Function& function, graph::Block& block) {
  Changed changed = Changed::No;
  std::vector<Op*>& ops = block.ops;
  for (size_t i = 0; i < ops.size();) {
    Op* call = ops[i];
    if (call->kind != OpKind::CallVjp) {
      ++i;
      continue;
    }
    const graph::Function* callee = function.module.findFunction(call->symbol);
    DNN_ASSERT(callee != nullptr, "the verifier has seen the called function");
    autodiff::Inlined inlined = autodiff::inlineFunction(function, *callee, call->operands);
    for (size_t r = 0; r < call->results.size(); ++r) {
      graph::Value* value = inlined.returns[r];
      if (value->name.empty()) {
        value->name = call->results[r]->name;
      }
      graph::replaceAllUses(function, call->results[r], value);
    }
    ops.erase(ops.begin() + static_cast<std::ptrdiff_t>(i));
    ops.insert(ops.begin() + static_cast<std::ptrdiff_t>(i), inlined.ops.begin(), inlined.ops.end());
    changed = Changed::Yes; // the body may itself call: go on with its first op
  }
  return changed;
}

} // namespace

/// Grads need the calls: they are left alone in functions that still have one.
Result<Changed> inlineCalls(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    bool hasGrad = std::ranges::any_of(function->body.ops, [](const Op* op) { return op->kind == OpKind::Grad; });
    if (!hasGrad && function->kind != graph::FunctionKind::Helper) {
      graph::forEachBlock(function->body,
                          [&](graph::Block& block) { changed = changed | inlineCallsIn(*function, block); });
    }
  }
  return changed;
}

} // namespace dnn::transform
