#include "compiler/graph/scan.h"
#include "compiler/graph/verifier.h"

#include <algorithm>

namespace dnn::graph {

void Verifier::checkScan(const Op& op) {
  if (++scanDepth_ > maxScanDepth) {
    return fail("more than " + std::to_string(maxScanDepth) + " scans stand in each other");
  }
  checkScanHead(op);
  if (!failed()) {
    checkScanBlock(op);
  }
  if (!failed()) {
    checkBlock(*op.body_block, &op);
  }
  if (!failed()) {
    op_ = &op;
    checkScanResults(op);
  }
  --scanDepth_;
}

void Verifier::checkScanHead(const Op& op) {
  if (op.dims.size() != 1 || !op.reduced.empty() || op.body != nullptr || !op.at.empty()) {
    return fail("a scan runs over one index and has no expression");
  }
  const Dim& steps = op.dims[0].extent;
  if (!isPossibleExtent(steps, function_->symbols) || steps.min(function_->symbols) < 0) {
    return fail("the extent of index `" + op.dims[0].name +
                "` names an unknown symbol, leaves 32 bits or can be negative");
  }
  if (op.saveEvery > 1 && (!steps.isStatic() || steps.constant() % op.saveEvery != 0)) {
    return fail("what it saves every " + std::to_string(op.saveEvery) + " steps does not divide its " + dimText(steps) +
                " steps");
  }
  if (op.ends && (op.carryCount == 0 || op.operands[0]->type != TensorType{DType::Bool, {}, std::nullopt})) {
    return fail("its first carry is not a bool that says when it ends");
  }
  for (size_t i = op.carryCount; i < firstCapture(op); ++i) {
    const Value* v = op.operands[i];
    if (v->type.isScalar() || v->type.dims[0] != steps) {
      return fail(name(v) + " is " + typeText(v->type) + " and is not sliced in " + dimText(steps) + " steps");
    }
  }
}

/// The arguments at the head, `next` and `emit` at the end, and none of them in between.
void Verifier::checkScanBlock(const Op& op) {
  const std::vector<Op*>& body = op.body_block->ops;
  size_t first = !body.empty() && body[0]->kind == OpKind::Counter ? 1 : 0;
  auto isKind = [&](size_t at, OpKind kind) { return at < body.size() && body[at]->kind == kind; };
  bool form = body.size() >= first + firstCapture(op) + 2;
  for (size_t i = 0; i < firstCapture(op) && form; ++i) {
    form = isKind(first + i, i < op.carryCount ? OpKind::Carry : OpKind::Slice);
  }
  form = form && isKind(body.size() - 2, OpKind::Next) && isKind(body.size() - 1, OpKind::Emit);
  for (size_t i = first + firstCapture(op); form && i + 2 < body.size(); ++i) {
    OpKind kind = body[i]->kind;
    form = kind != OpKind::Counter && kind != OpKind::Carry && kind != OpKind::Slice && kind != OpKind::Next &&
           kind != OpKind::Emit;
  }
  if (!form) {
    return fail("its body is not one argument for each carry and slice, ops, then `next`, then `emit`");
  }
  for (size_t i = 0; i < first + firstCapture(op); ++i) {
    if (body[i]->results.size() != 1) {
      return fail("an argument of its body does not have one result");
    }
  }
  const Dim& steps = op.dims[0].extent;
  if (first == 1 && counterOf(op)->type != TensorType{DType::I32, {}, steps}) {
    return fail("its counter is not an i32 below " + dimText(steps));
  }
  for (size_t i = 0; i < firstCapture(op); ++i) {
    bool carry = i < op.carryCount;
    const Value* argument = carryOf(op, i);
    const TensorType& from = op.operands[i]->type;
    if (argument->type != (carry ? from : sliceType(from))) {
      return fail(name(argument) + " is " + typeText(argument->type) + ", which is not what " + name(op.operands[i]) +
                  ", a " + typeText(from) + ", gives");
    }
  }
}

void Verifier::checkScanResults(const Op& op) {
  const std::vector<Value*>& nexts = nextsOf(op);
  if (nexts.size() != op.carryCount) {
    return fail("it has " + std::to_string(op.carryCount) + " carries and `next` has " + std::to_string(nexts.size()));
  }
  for (size_t i = 0; i < nexts.size(); ++i) {
    const TensorType& carry = carryOf(op, i)->type;
    const TensorType& next = nexts[i]->type;
    if (next.dtype != carry.dtype || next.dims != carry.dims) {
      return fail("the carry " + name(carryOf(op, i)) + " is " + typeText(carry) + " and its next value " +
                  typeText(next));
    }
    if (carry.bound && (!next.bound || (*carry.bound - *next.bound).min(function_->symbols) < 0)) {
      return fail("the next value of " + name(carryOf(op, i)) + " is not proved to lie below the bound " +
                  dimText(*carry.bound));
    }
  }
  std::vector<TensorType> expected;
  for (const Value* v : emitsOf(op)) {
    expected.push_back(stackedType(op.dims[0].extent, v->type));
  }
  for (size_t i = 0; i < op.carryCount; ++i) {
    expected.push_back(op.operands[i]->type);
  }
  if (expected.size() != op.results.size()) {
    return fail("it has " + std::to_string(op.results.size()) + " results instead of " +
                std::to_string(expected.size()));
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    if (op.results[i]->type != expected[i]) {
      return fail(name(op.results[i]) + " is " + typeText(op.results[i]->type) + " instead of " +
                  typeText(expected[i]));
    }
    checkType(expected[i]);
  }
  std::vector<Value*> captures = capturesOf(op);
  if (!std::equal(op.operands.begin() + static_cast<std::ptrdiff_t>(firstCapture(op)), op.operands.end(),
                  captures.begin(), captures.end())) {
    fail("its last operands are not the outside values that its body uses, in the order of their first use");
  }
}

} // namespace dnn::graph
