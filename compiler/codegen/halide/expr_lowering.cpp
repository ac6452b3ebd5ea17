#include "compiler/codegen/halide/expr_lowering.h"

#include "compiler/codegen/halide/not_positive.h"
#include "compiler/codegen/halide/scalar_math.h"
#include "compiler/support/assert.h"
#include "runtime/types/half.h"

#include <algorithm>
#include <cmath>

namespace dnn::codegen {

using graph::ExprKind;
using graph::ExprRef;
using Halide::Expr;

Halide::Type storageType(DType dtype) {
  switch (dtype) {
  case DType::F32: return Halide::Float(32);
  case DType::F64: return Halide::Float(64);
  case DType::I32: return Halide::Int(32);
  case DType::I64: return Halide::Int(64);
  case DType::U8:
  case DType::Bool: return Halide::UInt(8);
  case DType::U32: return Halide::UInt(32);
  case DType::BF16:
  case DType::F16: return Halide::UInt(16);
  }
  DNN_UNREACHABLE("every element type has a storage type");
}

Halide::Type valueType(DType dtype) { return dtype == DType::Bool ? Halide::Bool() : storageType(dtype); }

Expr toStorage(const Expr& value, DType dtype) { return Halide::cast(storageType(dtype), value); }

Expr fromStorage(const Expr& stored, DType dtype) {
  return dtype == DType::Bool ? stored != Halide::Internal::make_zero(stored.type()) : stored;
}

Expr constant(double value, DType dtype) {
  if (dtype == DType::F32) {
    value = static_cast<float>(value); // 1e39 is infinite
  }
  if (dtype == DType::F32 && !std::isfinite(value)) {
    uint32_t bits = std::isnan(value) ? 0x7fc00000 : value > 0 ? 0x7f800000 : 0xff800000;
    return Halide::reinterpret<float>(Halide::Internal::make_const(Halide::UInt(32), bits));
  }
  if (dtype == DType::F64 && !std::isfinite(value)) {
    uint64_t bits = std::isnan(value) ? 0x7ff8000000000000 : value > 0 ? 0x7ff0000000000000 : 0xfff0000000000000;
    return Halide::reinterpret<double>(Halide::Internal::make_const(Halide::UInt(64), bits));
  }
  if (isStorageOnly(dtype)) {
    return Halide::Internal::make_const(storageType(dtype), toBits(dtype, static_cast<float>(value)));
  }
  if (isFloat(dtype)) {
    return Halide::Internal::make_const(storageType(dtype), value);
  }
  return Halide::Internal::make_const(valueType(dtype), static_cast<int64_t>(value));
}

namespace {

bool isComparison(ScalarOp op) {
  return op == ScalarOp::Lt || op == ScalarOp::Le || op == ScalarOp::Gt || op == ScalarOp::Ge || op == ScalarOp::Eq ||
         op == ScalarOp::Ne;
}

/// Or NaN.
bool isInfinite(ExprRef e) {
  double number = e->dtype == DType::F32 ? static_cast<float>(e->number) : e->number;
  return e->kind == ExprKind::Const && isFloat(e->dtype) && !std::isfinite(number);
}

} // namespace

Expr promised(ExprRef subscript, const Expr& lowered, const Expr& extent) {
  std::optional<graph::LinearForm> form = graph::linearForm(subscript);
  if (!form || !form->isAffine()) {
    return Halide::unsafe_promise_clamped(lowered, 0, extent - 1);
  }
  bool backwards = std::ranges::any_of(form->terms, [](const graph::LinearTerm& term) { return term.factor < 0; });
  // Halide fails on a masked backward vector load at a constant address below zero; a real clamp keeps it from seeing
  // one, and vanishes where the vector is whole.
  return backwards ? Halide::clamp(lowered, 0, extent - 1) : lowered;
}

Expr ExprLowering::lower(ExprRef root) {
  // A stack of its own instead of recursion: bodies can be deep. What is known already is not looked into.
  std::vector<std::pair<ExprRef, size_t>> stack = {{root, 0}};
  while (!stack.empty()) {
    auto& [node, done] = stack.back();
    if (known_.contains(node)) {
      stack.pop_back();
    } else if (done < node->args.size()) {
      ExprRef arg = node->args[done++];
      stack.push_back({arg, 0});
    } else {
      known_[node] = lowerNode(node);
      stack.pop_back();
    }
  }
  return known_.at(root);
}

Expr ExprLowering::lowerNode(ExprRef e) {
  switch (e->kind) {
  case ExprKind::Const:
    return isFloat(e->dtype) ? constant(e->number, e->dtype)
                             : Halide::Internal::make_const(valueType(e->dtype), e->integer);
  case ExprKind::Index: return indices_.at(e->index);
  case ExprKind::Extent: return source_.extent(e->extent);
  case ExprKind::Access: return lowerAccess(e);
  case ExprKind::Apply: {
    std::vector<Expr> args;
    for (ExprRef arg : e->args) {
      args.push_back(known_.at(arg));
    }
    if (isComparison(e->op) && !isFloat(e->args[0]->dtype)) {
      args = {opaque(e->args[0], args[0]), opaque(e->args[1], args[1])};
    }
    if (e->op == ScalarOp::Exp && e->dtype == DType::F32 && isBelowItsMaximum(op_, e->args[0])) {
      return expNotPositive32(args[0]);
    }
    bool infinite = std::ranges::any_of(e->args, isInfinite);
    return infinite ? applyToInfinite(e->op, args) : applyScalar(e->op, args);
  }
  case ExprKind::Cast: return lowerCast(e);
  case ExprKind::Draw: return source_.drawn(*e, known_.at(e->args[0]), known_.at(e->args[1]));
  }
  DNN_UNREACHABLE("every kind of expression lowers");
}

/// Halide computes of a stage only what the branches of `select(i < j, …)` read, if it can solve the condition for an
/// index; the stage's storage and its tiles of fixed size then begin at different places. It cannot see through a
/// promise.
Expr ExprLowering::opaque(ExprRef e, const Expr& value) {
  graph::Range range = ranges_.of(e);
  if (e->kind == ExprKind::Const || value.type() != Halide::Int(32) || range.min < INT32_MIN || range.max > INT32_MAX) {
    return value;
  }
  return Halide::unsafe_promise_clamped(value, static_cast<int32_t>(range.min), static_cast<int32_t>(range.max));
}

namespace {

/// The same f32. Halide does not see through it, so it cannot join a conversion from or to f16 with another one into a
/// conversion that the machine lacks; LLVM drops it.
Expr opaqueSingle(const Expr& value) {
  return Halide::Internal::Call::make(value.type(), Halide::Internal::Call::strict_mul, {value, Expr(1.0f)},
                                      Halide::Internal::Call::PureIntrinsic);
}

/// The f32 of an element's bits.
Expr widened(DType from, const Expr& bits) {
  if (from == DType::BF16) {
    return Halide::reinterpret<float>(Halide::cast<uint32_t>(bits) << 16);
  }
  return opaqueSingle(
      Halide::cast<float>(Halide::reinterpret(Halide::Float(16), bits))); // one instruction for a vector
}

/// The bits of an f32 as an element, rounded to the nearest, halves to the even one (runtime/types/half.h).
Expr narrowed(DType to, const Expr& value) {
  if (to == DType::F16) {
    return Halide::reinterpret<uint16_t>(Halide::cast(Halide::Float(16), opaqueSingle(value)));
  }
  Expr bits = Halide::reinterpret<uint32_t>(value);
  Expr rounded = bits + Halide::cast<uint32_t>(0x7fff) + ((bits >> 16) & 1);
  Expr isNan = (bits & Halide::cast<uint32_t>(0x7fffffff)) > Halide::cast<uint32_t>(0x7f800000);
  return Halide::cast<uint16_t>(Halide::select(isNan, bits | Halide::cast<uint32_t>(0x400000), rounded) >> 16);
}

} // namespace

Expr ExprLowering::lowerCast(ExprRef e) {
  const Expr& value = known_.at(e->args[0]);
  DType from = e->args[0]->dtype;
  if (from == e->dtype) {
    return value;
  }
  if (isStorageOnly(from)) {
    return widened(from, value);
  }
  if (isStorageOnly(e->dtype)) {
    return narrowed(e->dtype, value);
  }
  if (e->dtype == DType::Bool) {
    return value.type().is_bool() ? value
                                  : applyScalar(ScalarOp::Ne, {value, Halide::Internal::make_zero(value.type())});
  }
  return Halide::cast(valueType(e->dtype), value);
}

Expr ExprLowering::lowerAccess(ExprRef e) {
  const graph::Value* operand = op_.operands.at(e->operand);
  std::vector<Expr> subscripts;
  Expr inside;
  for (size_t d = 0; d < e->args.size(); ++d) {
    const Dim& dim = operand->type.dims[d];
    Expr extent = source_.extent(dim);
    Expr subscript = Halide::cast<int32_t>(known_.at(e->args[d]));
    bool safe = !e->fill || ranges_.alwaysInRange(e->args[d], dim);
    if (safe) {
      subscripts.push_back(promised(e->args[d], subscript, extent));
      continue;
    }
    Expr here = subscript >= 0 && subscript < extent;
    inside = inside.defined() ? inside && here : here;
    subscripts.push_back(Halide::clamp(subscript, 0, extent - 1));
  }
  Expr value = source_.element(operand, subscripts);
  return inside.defined() ? Halide::select(inside, value, constant(*e->fill, e->dtype)) : value;
}

} // namespace dnn::codegen
