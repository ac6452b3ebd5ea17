#include "compiler/algebra/match.h"

namespace dnn::algebra {

using graph::ExprKind;
using graph::Value;

namespace {

class Matcher {
public:
  Matcher(std::span<Value* const> patternOperands, std::span<Value* const> targetOperands, Binding& binding)
      : patternOperands_(patternOperands), targetOperands_(targetOperands), binding_(binding) {}

  bool run(ExprRef pattern, ExprRef target) {
    if (pattern->kind == ExprKind::Index) {
      ExprRef& bound = binding_[pattern->index];
      if (bound == nullptr && target->dtype == DType::I32) {
        bound = target;
      }
      return bound == target;
    }
    if (pattern->kind != target->kind || pattern->dtype != target->dtype ||
        pattern->args.size() != target->args.size()) {
      return false;
    }
    switch (pattern->kind) {
    case ExprKind::Const:
    case ExprKind::Extent: return pattern == target;
    case ExprKind::Index: return false;
    case ExprKind::Access:
      return patternOperands_[pattern->operand] == targetOperands_[target->operand] && pattern->fill == target->fill &&
             runAll(pattern, target);
    case ExprKind::Apply: return pattern->op == target->op && runApply(pattern, target);
    case ExprKind::Cast: return runAll(pattern, target);
    case ExprKind::Draw:
      return pattern->distribution == target->distribution && pattern->site == target->site && runAll(pattern, target);
    }
    return false;
  }

private:
  bool runAll(ExprRef pattern, ExprRef target) {
    for (size_t i = 0; i < pattern->args.size(); ++i) {
      if (!run(pattern->args[i], target->args[i])) {
        return false;
      }
    }
    return true;
  }

  bool runApply(ExprRef pattern, ExprRef target) {
    Binding before = binding_;
    if (runAll(pattern, target)) {
      return true;
    }
    binding_ = before;
    bool commutes = pattern->op == ScalarOp::Add || pattern->op == ScalarOp::Mul;
    return commutes && run(pattern->args[0], target->args[1]) && run(pattern->args[1], target->args[0]);
  }

  std::span<Value* const> patternOperands_;
  std::span<Value* const> targetOperands_;
  Binding& binding_;
};

} // namespace

bool match(ExprRef pattern, std::span<Value* const> patternOperands, ExprRef target,
           std::span<Value* const> targetOperands, Binding& binding) {
  Binding before = binding;
  if (Matcher(patternOperands, targetOperands, binding).run(pattern, target)) {
    return true;
  }
  binding = before;
  return false;
}

} // namespace dnn::algebra
