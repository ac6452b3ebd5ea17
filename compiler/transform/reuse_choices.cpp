// Tests a chosen value instead of the one that it was chosen from, so that only the former has to be kept.
//
//   %y = comp [n:N] : f32 { select(gt(%x[n], 0.0), %x[n], 0.0) }
//   %g = comp [n:N] : f32 { select(gt(%x[n], 0.0), %d[n], 0.0) }      →      … { select(gt(%y[n], 0.0), %d[n], 0.0) }
//
// A step keeps %y for the next layer; with %x read by nobody else, its kernel stores one tensor instead of two. Where
// the test holds, %y is %x; where it does not (NaN too), it is the constant, for which it must not hold either. All
// other users of %x have to be such tests, after %y: otherwise %x is kept anyway.
#include "compiler/algebra/builder.h"
#include "compiler/algebra/reindex.h"
#include "compiler/transform/pass_manager.h"
#include "compiler/transform/read_through.h"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace dnn::transform {

namespace {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::OpKind;
using graph::Value;

/// An element compared with a constant.
struct Test {
  ScalarOp op = ScalarOp::Gt;
  ExprRef access = nullptr;
  ExprRef bound = nullptr;
};

std::optional<Test> testOf(ExprRef e) {
  static constexpr std::array comparisons = {ScalarOp::Lt, ScalarOp::Le, ScalarOp::Gt,
                                             ScalarOp::Ge, ScalarOp::Eq, ScalarOp::Ne};
  if (e->kind == ExprKind::Apply && std::ranges::find(comparisons, e->op) != comparisons.end() &&
      e->args[0]->kind == ExprKind::Access && e->args[1]->kind == ExprKind::Const && isFloat(e->args[0]->dtype)) {
    return Test{e->op, e->args[0], e->args[1]};
  }
  return std::nullopt;
}

bool holds(ScalarOp comparison, double value, double bound) {
  bool less = value < bound;
  bool greater = value > bound;
  bool equal = value == bound;
  return (comparison == ScalarOp::Lt && less) || (comparison == ScalarOp::Le && (less || equal)) ||
         (comparison == ScalarOp::Gt && greater) || (comparison == ScalarOp::Ge && (greater || equal)) ||
         (comparison == ScalarOp::Eq && equal) || (comparison == ScalarOp::Ne && !equal);
}

/// The test by which this comp chooses its one operand's element or a constant that fails the test.
std::optional<Test> choiceOf(const Op& op) {
  if (!isElementwise(op) || op.operands.size() != 1 || !algebra::isApply(op.body, ScalarOp::Select)) {
    return std::nullopt;
  }
  std::optional<Test> test = testOf(op.body->args[0]);
  if (!test || test->access->fill || test->access->dtype != op.body->dtype) {
    return std::nullopt;
  }
  for (uint32_t d = 0; d < op.dims.size(); ++d) {
    ExprRef subscript = test->access->args.size() == op.dims.size() ? test->access->args[d] : nullptr;
    if (subscript == nullptr || subscript->kind != ExprKind::Index || subscript->index != d) {
      return std::nullopt;
    }
  }
  bool keptIfTrue = op.body->args[1] == test->access;
  ExprRef other = op.body->args[keptIfTrue ? 2 : 1];
  bool chooses = keptIfTrue || op.body->args[2] == test->access;
  bool fails = other->kind == ExprKind::Const && holds(test->op, other->number, test->bound->number) != keptIfTrue;
  return chooses && fails && op.operands[0]->type.dims == op.results[0]->type.dims ? test : std::nullopt;
}

class ChoiceReuser {
public:
  explicit ChoiceReuser(graph::Function& function) : function_(function), b_(function.module.exprs) {}

  Changed run() {
    for (size_t i = 0; i < function_.body.ops.size(); ++i) {
      position_[function_.body.ops[i]] = i;
    }
    // As it was before any change: a test moved away still counts as a reader, which moving it again does not change.
    graph::Uses uses(function_);
    Changed changed = Changed::No;
    for (Op* op : function_.body.ops) {
      std::optional<Test> test = choiceOf(*op);
      if (!test) {
        continue;
      }
      std::vector<Op*> readers = uses.of(op->operands[0]);
      std::erase(readers, op);
      bool all =
          !readers.empty() && !uses.returned(op->operands[0]) && std::ranges::all_of(readers, [&](const Op* reader) {
            auto at = position_.find(reader);
            return at != position_.end() && at->second > position_.at(op) &&
                   onlyTests(*reader, *op->operands[0], *test);
          });
      if (all) {
        std::ranges::for_each(readers, [&](Op* reader) { rewrite(*reader, *op->operands[0], op->results[0], *test); });
        changed = Changed::Yes;
      }
    }
    return changed;
  }

private:
  graph::Function& function_;
  algebra::Builder b_;
  std::unordered_map<const Op*, size_t> position_;

  static bool isSame(ExprRef e, const Test& test) {
    std::optional<Test> other = testOf(e);
    return other && other->op == test.op && other->bound == test.bound && !other->access->fill;
  }

  /// Every access of the value in the reader is the one of such a test.
  static bool onlyTests(const Op& reader, const Value& value, const Test& test) {
    if (reader.kind != OpKind::Comp) {
      return false;
    }
    bool only = true;
    graph::forEachNode(reader.body, [&](ExprRef e) {
      for (ExprRef arg : e->args) {
        bool reads = arg->kind == ExprKind::Access && reader.operands[arg->operand] == &value;
        only &= !reads || isSame(e, test);
      }
    });
    return only && reader.body->kind != ExprKind::Access;
  }

  void rewrite(Op& reader, const Value& from, Value* to, const Test& test) {
    uint32_t position = algebra::operandPosition(reader.operands, to);
    reader.body = graph::rewrite(b_.pool(), reader.body, [&](ExprRef e, const std::vector<ExprRef>& args) -> ExprRef {
      if (!isSame(e, test) || reader.operands[e->args[0]->operand] != &from) {
        return nullptr;
      }
      return b_.pool().apply(e->op, {b_.pool().access(position, to->type.dtype, args[0]->args), args[1]});
    });
    graph::normalizeOperands(b_.pool(), reader);
  }
};

} // namespace

Result<Changed> reuseChoices(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    changed = changed | ChoiceReuser(*function).run();
  }
  return changed;
}

} // namespace dnn::transform
