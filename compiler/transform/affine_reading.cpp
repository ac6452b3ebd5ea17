#include "compiler/transform/affine_reading.h"

#include "compiler/transform/read_through.h"

#include <algorithm>
#include <unordered_map>

namespace dnn::transform {

using algebra::Builder;
using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::OpKind;
using graph::Value;

Constants::Constants(const graph::Function& function) {
  for (const Op* op : function.body.ops) {
    bool persistent = op->kind == OpKind::Param || op->kind == OpKind::State;
    bool computed = (op->kind == OpKind::Comp && cover(op->body, *op)) || op->kind == OpKind::Reshape;
    bool made = computed && !op->operands.empty() &&
                std::ranges::all_of(op->operands, [&](const Value* v) { return contains(v); });
    if (persistent || made) {
      values_.insert(op->results[0]);
    }
  }
}

bool Constants::cover(ExprRef e, const Op& op) const {
  bool constant = true;
  graph::forEachNode(e, [&](ExprRef node) {
    constant = constant && node->kind != ExprKind::Draw &&
               (node->kind != ExprKind::Access || contains(op.operands[node->operand]));
  });
  return constant;
}

namespace {

class Reader {
public:
  Reader(const Builder& b, const Constants& constants, const Op& reader)
      : b_(b), constants_(constants), reader_(reader) {}

  std::optional<Affine> affineOf(ExprRef e, ExprRef element, const std::unordered_map<ExprRef, Affine>& known) const {
    if (e == element) {
      return Affine{};
    }
    if (e->kind != ExprKind::Apply || e->args.empty() || e->args.size() > 2) {
      return std::nullopt;
    }
    auto left = known.find(e->args[0]);
    if (e->args.size() == 1) {
      if (e->op != ScalarOp::Neg || left == known.end()) {
        return std::nullopt;
      }
      return times(left->second, b_.pool().number(-1, e->dtype));
    }
    auto right = known.find(e->args[1]);
    if ((left == known.end()) == (right == known.end())) {
      return std::nullopt;
    }
    bool first = left != known.end();
    ExprRef other = e->args[first ? 1 : 0];
    if (!constants_.cover(other, reader_)) {
      return std::nullopt;
    }
    const Affine& a = first ? left->second : right->second;
    switch (e->op) {
    case ScalarOp::Add: return plus(a, other);
    case ScalarOp::Sub: return first ? plus(a, b_.neg(other)) : plus(times(a, b_.pool().number(-1, e->dtype)), other);
    case ScalarOp::Mul: return times(a, other);
    case ScalarOp::Div: return first ? std::optional(times(a, b_.div(b_.one(e->dtype), other))) : std::nullopt;
    default: // no other operator is affine
      return std::nullopt;
    }
  }

private:
  const Builder& b_;
  const Constants& constants_;
  const Op& reader_;

  Affine times(const Affine& a, ExprRef factor) const {
    return {a.scale == nullptr ? factor : b_.mul(a.scale, factor),
            a.shift == nullptr ? nullptr : b_.mul(a.shift, factor)};
  }
  Affine plus(const Affine& a, ExprRef shift) const {
    return {a.scale, a.shift == nullptr ? shift : b_.add(a.shift, shift)};
  }
};

} // namespace

std::optional<Reading> readAffinely(const Builder& b, const Constants& constants, const Op& reader, const Value& y) {
  Reader affinely(b, constants, reader);
  std::vector<ExprRef> accesses = accessesOf(reader, y);
  if (accesses.size() != 1 || accesses[0]->fill || !distinctIndices(accesses[0]->args)) {
    return std::nullopt;
  }
  Reading reading;
  reading.element = accesses[0];
  std::unordered_map<ExprRef, Affine> affine;
  std::unordered_set<ExprRef> inside; // affine, and part of a larger one
  bool single = true;
  graph::forEachNode(reader.body, [&](ExprRef e) {
    if (std::optional<Affine> found = affinely.affineOf(e, reading.element, affine)) {
      for (ExprRef arg : e->args) {
        inside.insert(arg);
      }
      affine[e] = *found;
      return;
    }
    for (ExprRef arg : e->args) { // used as it is: it ends here
      if (affine.contains(arg)) {
        single = single && (reading.whole == nullptr || reading.whole == arg);
        reading.whole = arg;
      }
    }
  });
  if (affine.contains(reader.body)) {
    single = single && reading.whole == nullptr;
    reading.whole = reader.body;
  }
  if (!single || reading.whole == nullptr || inside.contains(reading.whole)) {
    return std::nullopt;
  }
  reading.affine = affine.at(reading.whole);
  return reading;
}

bool distinctIndices(const std::vector<ExprRef>& subscripts) {
  std::unordered_set<ExprRef> seen;
  return std::ranges::all_of(subscripts,
                             [&](ExprRef e) { return e->kind == ExprKind::Index && seen.insert(e).second; });
}

} // namespace dnn::transform
