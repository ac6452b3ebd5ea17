// Moves the bodies of elementwise comps into the bodies that read them, where that leaves less to do or to read.
//
//   %a = comp [n:N] : f32 { mul(%d[n], %y[n]) }                  %g = comp [n:N] : f32 { mul(mul(%d[n], %y[n]), …) }
//   %g = comp [n:N] : f32 { mul(%a[n], sub(1.0, %y[n])) }    →
//
//  - the value has one reader, which reads each element once: nothing is computed twice, and nothing is stored;
//  - or the reader's body, simplified, costs no more than before: something cancelled;
//  - or the value costs no more than the read itself would save: a sign, a factor.
// Whether what remains is stored or recomputed inside a kernel is for fusion to decide.
#include "compiler/algebra/cost.h"
#include "compiler/algebra/simplify.h"
#include "compiler/transform/pass_manager.h"
#include "compiler/transform/read_through.h"

#include <algorithm>
#include <set>

namespace dnn::transform {

namespace {

using algebra::Builder;
using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::Value;

/// Every point of the op's domain reads another element.
bool readsEachOnce(const Op& user, ExprRef access) {
  std::set<uint32_t> indices;
  for (ExprRef subscript : access->args) {
    if (subscript->kind == ExprKind::Index) {
      indices.insert(subscript->index);
    }
  }
  return indices.size() == user.dims.size() + user.reduced.size();
}

class State {
public:
  explicit State(graph::Function& function) : function_(function), b_(function.module.exprs), uses_(function) {}

  Changed run() {
    Changed changed = Changed::No;
    graph::forEachOp(function_.body, [&](Op* op) {
      if (op->body == nullptr) {
        return;
      }
      // Operands that come in by inlining are tried as well.
      for (size_t i = 0; i < op->operands.size();) {
        if (tryInline(*op, *op->operands[i])) {
          changed = Changed::Yes;
          uses_ = graph::Uses(function_);
          i = 0;
        } else {
          ++i;
        }
      }
    });
    return changed;
  }

private:
  bool tryInline(Op& user, const Value& value) {
    constexpr int maxCost = 400; // longer bodies are no easier to read, and slow to compile
    if (!isElementwise(*value.def) || usedInPlaces(user, value)) {
      return false;
    }
    std::vector<ExprRef> accesses = accessesOf(user, value);
    bool onlyReader = uses_.of(&value).size() == 1 && !uses_.returned(&value);
    bool once = onlyReader && accesses.size() == 1 && readsEachOnce(user, accesses[0]);
    int before = algebra::cost(user.body);
    constexpr int trivial = 4; // one operation on one element, or less
    bool cheap = algebra::cost(value.def->body) <= trivial;
    std::optional<ReadThrough> read = readThrough(b_, user, value, function_.symbols);
    if (!read) {
      return false;
    }
    graph::IndexDomain domain = graph::domainOf(user, function_.symbols);
    domain.operands.clear();
    for (const Value* operand : read->operands) {
      domain.operands.push_back(operand->type);
    }
    ExprRef body = algebra::Simplifier(b_, domain, true).run(read->body);
    int after = algebra::cost(body);
    bool saves = after <= before;
    if ((!once && !saves && !cheap) || after > std::max(maxCost, before)) {
      return false;
    }
    user.body = body;
    user.operands = std::move(read->operands);
    graph::normalizeOperands(b_.pool(), user);
    return true;
  }

  /// The value also subscripts the result of a scatter.
  static bool usedInPlaces(const Op& user, const Value& value) {
    bool found = false;
    for (ExprRef place : user.at) {
      graph::forEachNode(
          place, [&](ExprRef e) { found |= e->kind == ExprKind::Access && user.operands[e->operand] == &value; });
    }
    return found;
  }

  graph::Function& function_;
  Builder b_;
  graph::Uses uses_;
};

} // namespace

Result<Changed> inlineElementwise(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    changed = changed | State(*function).run();
  }
  return changed;
}

} // namespace dnn::transform
