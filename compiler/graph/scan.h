// The form of a scan: a loop over one index with values that pass from step to step.
//
//   %hs, %hT = scan [t:T] counter(%t) carry(%h = %h0) slice(%x = %xs) {
//     %h1 = comp [n:N] : f32 { tanh(add(%h[n], %x[n])) }
//     next %h1
//     emit %h1
//   }
//
// The body's block begins with its arguments, ops without operands: a counter (or none), the carries, the slices. It
// ends with `next`, one operand a carry, and `emit`; both are there even without operands, then the text leaves them
// out. Values of the body are not seen outside. The results are the emitted values, each stacked along a new first
// dimension of extent T, at the step's number also where steps run backwards; then the carries after the last step.
// Over no steps these are the initial values.
#pragma once

#include "compiler/graph/graph.h"

namespace dnn::graph {

/// Scans in scans: at most this deep.
constexpr int maxScanDepth = 16;

/// Number of the captured operands' first.
inline size_t firstCapture(const Op& scan) { return size_t(scan.carryCount) + scan.sliceCount; }

/// A scan that is not in a block yet, with the arguments of its body and empty `next` and `emit`. The type of a carry
/// is that of its initial value; a sliced value has the step's extent first, a slice has the other extents. The body's
/// ops go between the arguments and the end: see bodyEnd.
Op* createScan(Function& function, IndexVar step, bool reversed, bool counter, std::vector<Value*> initial,
               std::vector<Value*> sliced, Loc loc);
/// Where the body's next op goes: before `next` and `emit`.
std::vector<Op*>::iterator bodyEnd(const Op& scan);
/// Sets `next`, `emit`, the results and the captured operands, when the body is complete.
void finishScan(Function& function, Op& scan, std::vector<Value*> nexts, std::vector<Value*> emits);

/// The block arguments; counterOf is nullptr if there is none.
Value* counterOf(const Op& scan);
Value* carryOf(const Op& scan, size_t i);
Value* sliceOf(const Op& scan, size_t i);
/// The operands of `next` and `emit`.
std::vector<Value*>& nextsOf(const Op& scan);
std::vector<Value*>& emitsOf(const Op& scan);
/// The result that is the last value of a carry.
Value* finalOf(const Op& scan, size_t carry);

/// The counter, made if the scan has none.
Value* ensureCounter(Function& function, Op& scan);
/// One more emitted value; its stacked result.
Value* addEmit(Function& function, Op& scan, Value* value);
/// The argument for one more sliced value. The captured operands are not refreshed.
Value* addSlice(Function& function, Op& scan, Value* sliced);
/// One more carry, without its next: the argument. The captured operands are not refreshed.
Value* addCarry(Function& function, Op& scan, Value* initial, Value* next);
/// Remove a result, which nobody uses, and what belongs to it. The argument of a carry or slice is not used either.
void removeEmit(Op& scan, size_t i);
void removeCarry(Op& scan, size_t i);
void removeSlice(Op& scan, size_t i);

/// The type of values of this type, one a step, stacked; and of one of them.
TensorType stackedType(const Dim& steps, TensorType type);
TensorType sliceType(TensorType stacked);

/// What the scan's body, nested blocks too, uses from outside, in order of first use.
std::vector<Value*> capturesOf(const Op& scan);

} // namespace dnn::graph
