#include "compiler/graph/parser.h" // maxExprHeight
#include "compiler/graph/verifier.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dnn::graph {

namespace {

bool isWhole(double value, DType dtype) {
  switch (dtype) {
  case DType::I32:
    return value == std::floor(value) && value >= std::numeric_limits<int32_t>::min() &&
           value <= std::numeric_limits<int32_t>::max();
  case DType::U32: return value == std::floor(value) && value >= 0 && value <= std::numeric_limits<uint32_t>::max();
  case DType::U8: return value == std::floor(value) && value >= 0 && value <= std::numeric_limits<uint8_t>::max();
  case DType::I64: return value == std::floor(value) && std::abs(value) <= 9007199254740992.0; // 2^53: exact in f64
  case DType::Bool: return value == 0 || value == 1;
  case DType::F32:
  case DType::F64:
  case DType::BF16:
  case DType::F16: return true;
  }
  return false;
}

} // namespace

void Verifier::checkBody(const Op& op) {
  if (op.body == nullptr) {
    return fail("it has no body");
  }
  RangeAnalysis ranges(op, function_->symbols);
  std::unordered_map<ExprRef, int> height;
  auto check = [&](ExprRef root) {
    forEachNode(root, [&](ExprRef e) {
      if (failed()) {
        return;
      }
      int tallest = 0;
      for (ExprRef arg : e->args) {
        tallest = std::max(tallest, height.at(arg));
      }
      height[e] = tallest + 1;
      if (tallest >= maxExprHeight) {
        return fail("an expression is nested more than " + std::to_string(maxExprHeight) + " deep");
      }
      checkNode(op, e, ranges);
    });
  };
  for (ExprRef subscript : op.at) {
    check(subscript);
  }
  check(op.body);
  if (!failed()) {
    checkOperandsUsed(op);
  }
}

/// The text names operands only by their accesses, so an operand without one would be lost and would keep its value
/// alive.
void Verifier::checkOperandsUsed(const Op& op) {
  std::vector<bool> used(op.operands.size());
  auto note = [&](ExprRef root) {
    forEachNode(root, [&](ExprRef e) {
      if (e->kind == ExprKind::Access) {
        used[e->operand] = true;
      }
    });
  };
  std::ranges::for_each(op.at, note);
  note(op.body);
  for (size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) {
      return fail("its body does not use the operand " + name(op.operands[i]));
    }
    if (std::find(op.operands.begin(), op.operands.begin() + static_cast<ptrdiff_t>(i), op.operands[i]) !=
        op.operands.begin() + static_cast<ptrdiff_t>(i)) {
      return fail(name(op.operands[i]) + " is an operand twice");
    }
  }
}

void Verifier::checkNode(const Op& op, ExprRef e, RangeAnalysis& ranges) {
  switch (e->kind) {
  case ExprKind::Const:
    if (!isFloat(e->dtype) && !isWhole(static_cast<double>(e->integer), e->dtype) && e->dtype != DType::I64) {
      fail("the constant " + std::to_string(e->integer) + " is not of type " + std::string(nameOf(e->dtype)));
    }
    return;
  case ExprKind::Index:
    if (e->index >= op.dims.size() + op.reduced.size() || e->dtype != DType::I32) {
      fail("an index of the body is not one of the op's");
    }
    return;
  case ExprKind::Extent:
    if (!isPossibleExtent(e->extent, function_->symbols) || e->dtype != DType::I32) {
      fail("an extent of the body names an unknown symbol or leaves 32 bits");
    }
    return;
  case ExprKind::Access: checkAccess(op, e, ranges); return;
  case ExprKind::Apply: checkApply(e); return;
  case ExprKind::Cast:
    if (e->args.size() != 1) {
      fail("a cast has one argument");
    } else if (DType from = e->args[0]->dtype;
               from != e->dtype &&
               (isStorageOnly(from) ? e->dtype != DType::F32 : isStorageOnly(e->dtype) && from != DType::F32)) {
      fail("a cast from " + std::string(nameOf(from)) + " to " + std::string(nameOf(e->dtype)) +
           "; floats of 16 bits are cast from and to f32");
    }
    return;
  case ExprKind::Draw:
    if (e->args.size() != 2 || e->dtype != DType::F32 || !isInteger(e->args[0]->dtype) ||
        !isInteger(e->args[1]->dtype)) {
      fail("a draw is an f32 and has two integer coordinates");
    }
    return;
  }
}

void Verifier::checkAccess(const Op& op, ExprRef e, RangeAnalysis& ranges) {
  if (e->operand >= op.operands.size()) {
    return fail("an access names operand " + std::to_string(e->operand) + " of " + std::to_string(op.operands.size()));
  }
  const Value* value = op.operands[e->operand];
  const TensorType& type = value->type;
  if (e->dtype != type.dtype) {
    return fail("an access to " + name(value) + " has type " + std::string(nameOf(e->dtype)) + ", the tensor is " +
                typeText(type));
  }
  if (e->args.size() != type.rank()) {
    return fail(std::to_string(e->args.size()) + " subscripts for " + name(value) + ", which is " + typeText(type));
  }
  if (e->fill && !isWhole(*e->fill, e->dtype)) {
    return fail("the fill value of an access to " + name(value) + " is not of its type");
  }
  for (size_t i = 0; i < e->args.size(); ++i) {
    if (!isInteger(e->args[i]->dtype)) {
      return fail("a subscript of " + name(value) + " is not an integer");
    }
    if (!e->fill && !ranges.alwaysInRange(e->args[i], type.dims[i])) {
      Range range = ranges.of(e->args[i]);
      return fail("subscript " + std::to_string(i) + " of " + name(value) + " takes values from " +
                  dimText(range.lower) + " to " + dimText(range.upper) + ", which is not proved to lie within " +
                  dimText(type.dims[i]) + ", and the access has no fill value");
    }
  }
}

void Verifier::checkApply(ExprRef e) {
  const ScalarOpInfo& info = infoOf(e->op);
  std::optional<DType> type = resultType(e->op, e->args);
  if (!type) {
    return fail("`" + std::string(info.spelling) + "` does not take operands of these types");
  }
  if (*type != e->dtype) {
    return fail("`" + std::string(info.spelling) + "` is marked " + std::string(nameOf(e->dtype)) + " but gives " +
                std::string(nameOf(*type)));
  }
  bool divides = (e->op == ScalarOp::Div || e->op == ScalarOp::Mod) && isInteger(e->dtype);
  if (divides && e->args[1]->kind == ExprKind::Const && e->args[1]->integer <= 0) {
    fail("an integer is divided by " + std::to_string(e->args[1]->integer) + "; the divisor is positive");
  }
}

} // namespace dnn::graph
