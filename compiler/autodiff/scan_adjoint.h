// The scan that computes the adjoint of a scan: it runs the other way, and carries the adjoints of the carries.
//
//   %hs = scan [t:T] carry(%h = %h0) slice(%xt = %x) {
//     %z  = comp [j] add [k] { mul(%h[k], %w[k, j]) }
//     %h1 = comp [j] { tanh(add(%z[j], %xt[j])) }          next %h1    emit %h1
//   }
//   →
//   %dh0, %dx, %dzs = scan [t:T] reverse carry(%dh = 0) slice(%dht = %d_hs, %h1t = %hs) {
//     %dz = comp [j] { mul(add(%dh[j], %dht[j]), sub(1.0, mul(%h1t[j], %h1t[j]))) }
//     %dp = comp [k] add [j] { mul(%dz[j], %w[k, j]) }       next %dp    emit %dz, %dz
//   }
//   %dw = comp [k, j] add [t] { mul(%before[t, k], %dzs[t, j]) }
//
// What the steps contribute to the adjoint of a value from outside of the loop is not added up in the loop: it is one
// op after it, over the steps too, of stacked values. The forward scan emits what is read again.
//
// Of a scan that saves only its carries, the backward body begins with a copy of what it needs of the forward body;
// what the steps contribute is added up in carries, so that nothing is kept for each step. One that saves every k-th
// carry is a scan over blocks of k steps, which does so, around a scan over the steps of a block, which saves
// everything.
#pragma once

#include "compiler/autodiff/adjoint.h"

#include <unordered_map>
#include <unordered_set>

namespace dnn::autodiff {

/// Connects the body of the backward scan, complete but for this, with the forward scan and with what follows it.
class ScanAdjoint {
public:
  /// `emitter` makes ops after the backward scan.
  ScanAdjoint(Emitter& emitter, graph::Op& forward, graph::Op& backward);

  /// The sum over all steps of a value of the backward body.
  graph::Value* sumOverSteps(graph::Value* part);
  /// Values of the forward body that the backward body uses become slices of what the forward scan saves. Comes last.
  void readSaved();

private:
  graph::Value* accumulated(graph::Value* part);
  graph::Value* argumentFor(graph::Value* v);
  void computeAgain(const std::vector<graph::Value*>& used);
  void replaceInBackward(const std::unordered_map<const graph::Value*, graph::Value*>& values);
  graph::Value* stackOf(graph::Value* v);
  graph::Value* emitted(graph::Op& scan, graph::Value* v);
  bool isCounter(const graph::Value* v) const;
  ExprRef lifted(ExprRef e, const graph::Op& op, std::vector<graph::Value*>& operands, uint32_t step);
  graph::Value* liftComp(const graph::Op& op);
  graph::Value* liftScatter(const graph::Op& op);
  graph::Value* sumOfStack(graph::Value* part);

  Emitter& emitter_;
  graph::Op& forward_;
  graph::Op& backward_;
  std::unordered_set<const graph::Value*> forwardValues_;
  std::unordered_set<const graph::Value*> backwardValues_;
};

} // namespace dnn::autodiff
