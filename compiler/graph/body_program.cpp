#include "compiler/graph/body_program.h"

#include "compiler/graph/affine.h"
#include "compiler/support/assert.h"

#include <algorithm>
#include <limits>

namespace dnn::graph {

/// Makes the instructions of one body, arguments first, each distinct node once.
struct BodyProgram::Lowering {
  BodyProgram& program;
  const Op& op;
  std::span<const int64_t> symbolValues;
  std::vector<int64_t> extents; // of all indices, in the order of the op's domain
  std::vector<std::vector<int64_t>> operandDims;
  std::unordered_map<ExprRef, Register> done;
  std::unordered_map<ExprRef, bool> uniform; // depends on no index and draws nothing

  void run() {
    auto mark = [&](ExprRef root) {
      forEachNode(root, [&](ExprRef e) {
        bool varies = e->kind == ExprKind::Index;
        for (ExprRef arg : e->args) {
          varies |= !uniform.at(arg);
        }
        uniform[e] = !varies;
      });
    };
    std::ranges::for_each(op.at, mark);
    mark(op.body);
    if (op.kind == OpKind::Scatter) {
      std::vector<int64_t> dims;
      for (const Dim& dim : op.results[0]->type.dims) {
        dims.push_back(dim.evaluate(symbolValues));
      }
      Address address = lowerAddress(op.at, dims, false);
      program.address_ = materialise(address);
    }
    program.value_ = lower(op.body);
  }

  Register newFloat() { return program.floatCount_++; }
  Register newInt() { return program.intCount_++; }

  void emit(const Instruction& instruction, bool once) {
    (once ? program.prologue_ : program.loop_).push_back(instruction);
  }

  /// The form over all indices of the domain, if e is affine and stays within its type, so that nothing wraps around.
  std::optional<AffineForm> affine(ExprRef e) const {
    std::optional<LinearForm> form = linearForm(e);
    if (!form || !form->isAffine()) {
      return std::nullopt;
    }
    __int128 constant = form->constant.constant();
    for (auto [symbol, factor] : form->constant.terms()) {
      constant += static_cast<__int128>(factor) * symbolValues[symbol];
    }
    if (constant != static_cast<int64_t>(constant)) {
      return std::nullopt;
    }
    AffineForm result{static_cast<int64_t>(constant), std::vector<int64_t>(extents.size())};
    for (const LinearTerm& term : form->terms) {
      result.factors[term.atom->index] = term.factor;
    }
    auto [min, max] = limits(result);
    bool fits =
        wrapTo(e->dtype, static_cast<int64_t>(min)) == min && wrapTo(e->dtype, static_cast<int64_t>(max)) == max;
    return fits ? std::optional(result) : std::nullopt;
  }

  std::pair<__int128, __int128> limits(const AffineForm& form) const {
    __int128 min = form.constant;
    __int128 max = form.constant;
    for (size_t i = 0; i < extents.size(); ++i) {
      __int128 reach = static_cast<__int128>(form.factors[i]) * std::max<int64_t>(extents[i] - 1, 0);
      (reach < 0 ? min : max) += reach;
    }
    return {min, max};
  }

  uint32_t addForm(AffineForm form) {
    program.forms_.push_back(std::move(form));
    return static_cast<uint32_t>(program.forms_.size() - 1);
  }

  bool isConstant(const AffineForm& form) const {
    for (size_t i = 0; i < extents.size(); ++i) {
      if (form.factors[i] != 0 && extents[i] > 1) {
        return false;
      }
    }
    return true;
  }

  Register linearRegister(const AffineForm& form) {
    Register dst = newInt();
    if (isConstant(form)) {
      emit({.code = Code::ConstInt, .dst = dst, .integer = form.constant}, true);
    } else {
      emit({.code = Code::Linear, .dst = dst, .form = addForm(form)}, false);
    }
    return dst;
  }

  /// Where an access reads: an affine part, plus registers for the subscripts that are not affine, and whether all
  /// subscripts are in range.
  struct Address {
    AffineForm affine;
    Register rest = noRegister;
    Register inRange = noRegister;
    bool once = true; // rest and inRange are in the prologue
  };

  Address lowerAddress(const std::vector<ExprRef>& subscripts, const std::vector<int64_t>& dims, bool hasFill) {
    Address address;
    address.affine.factors.resize(extents.size());
    address.once = std::ranges::all_of(subscripts, [&](ExprRef e) { return uniform.at(e); });
    int64_t stride = 1;
    for (size_t d = dims.size(); d-- > 0;) {
      std::optional<AffineForm> form = affine(subscripts[d]);
      bool mayLeave = hasFill;
      if (form) {
        address.affine.constant += form->constant * stride;
        for (size_t i = 0; i < extents.size(); ++i) {
          address.affine.factors[i] += form->factors[i] * stride;
        }
        auto [min, max] = limits(*form);
        bool leaves = min < 0 || max >= dims[d];
        DNN_ASSERT(hasFill || !leaves || program.points_ == 0, "the verifier proves subscripts without a fill value");
        mayLeave = hasFill && leaves;
      }
      if (!form || mayLeave) {
        Register value = form ? linearRegister(*form) : lower(subscripts[d]);
        if (!form) {
          addScaled(address, value, stride);
        }
        if (mayLeave) {
          Register dst = newInt();
          emit({.code = Code::InRange, .dst = dst, .a = value, .b = address.inRange, .integer = dims[d]}, address.once);
          address.inRange = dst;
        }
      }
      stride *= dims[d];
    }
    return address;
  }

  void addScaled(Address& address, Register value, int64_t stride) {
    Register base = address.rest;
    if (base == noRegister) {
      base = newInt();
      emit({.code = Code::ConstInt, .dst = base, .integer = 0}, true);
    }
    address.rest = newInt();
    emit({.code = Code::MulAdd, .dst = address.rest, .a = base, .b = value, .integer = stride}, address.once);
  }

  /// The address in one register.
  Register materialise(Address& address) {
    Register base = linearRegister(address.affine);
    if (address.rest == noRegister) {
      return base;
    }
    Register dst = newInt();
    emit({.code = Code::MulAdd, .dst = dst, .a = address.rest, .b = base, .integer = 1}, address.once);
    return dst;
  }

  Register lower(ExprRef e) {
    if (auto found = done.find(e); found != done.end()) {
      return found->second;
    }
    Register result = make(e);
    done[e] = result;
    return result;
  }

  Register make(ExprRef e) {
    if (isInteger(e->dtype) && e->kind != ExprKind::Const) {
      if (std::optional<AffineForm> form = affine(e)) {
        return linearRegister(*form);
      }
    }
    bool once = uniform.at(e);
    switch (e->kind) {
    case ExprKind::Const:
      if (isFloat(e->dtype)) {
        Register dst = newFloat();
        emit({.code = Code::ConstFloat, .dst = dst, .number = e->number}, true);
        return dst;
      } else {
        Register dst = newInt();
        emit({.code = Code::ConstInt, .dst = dst, .integer = e->integer}, true);
        return dst;
      }
    case ExprKind::Index:
    case ExprKind::Extent: break; // always affine
    case ExprKind::Access: return makeAccess(e, once);
    case ExprKind::Apply: return makeApply(e, once);
    case ExprKind::Cast: return makeCast(e, once);
    case ExprKind::Draw: {
      Register lo = lower(e->args[0]);
      Register hi = lower(e->args[1]);
      Register dst = newFloat();
      Code code = e->distribution == Distribution::Uniform ? Code::DrawUniform : Code::DrawNormal;
      emit({.code = code, .dst = dst, .a = lo, .b = hi, .integer = e->site}, once);
      return dst;
    }
    }
    DNN_UNREACHABLE("every expression becomes instructions");
  }

  Register makeAccess(ExprRef e, bool once) {
    Address address = lowerAddress(e->args, operandDims.at(e->operand), e->fill.has_value());
    bool isFloatLoad = isFloat(e->dtype);
    Instruction instruction{.dtype = e->dtype, .operand = e->operand};
    if (address.rest == noRegister && address.inRange == noRegister) {
      instruction.form = addForm(address.affine);
      instruction.code = isFloatLoad ? Code::LoadFloat : Code::LoadInt;
    } else {
      instruction.a = materialise(address);
      instruction.b = address.inRange;
      instruction.number = e->fill.value_or(0);
      instruction.integer = isFloatLoad ? 0 : static_cast<int64_t>(e->fill.value_or(0));
      instruction.code = isFloatLoad ? Code::GatherFloat : Code::GatherInt;
    }
    instruction.dst = isFloatLoad ? newFloat() : newInt();
    emit(instruction, once);
    return instruction.dst;
  }

  Register makeApply(ExprRef e, bool once) {
    Instruction instruction{.dtype = e->dtype, .op = e->op};
    Register* args[] = {&instruction.a, &instruction.b, &instruction.c};
    for (size_t i = 0; i < e->args.size(); ++i) {
      *args[i] = lower(e->args[i]);
    }
    bool floatArgs = isFloat(e->args.back()->dtype); // of select: the branches
    if (e->op == ScalarOp::StopGrad) {
      return instruction.a;
    }
    if (e->op == ScalarOp::Select) {
      instruction.code = floatArgs ? Code::SelectFloat : Code::SelectInt;
    } else if (e->op == ScalarOp::Not || e->op == ScalarOp::And || e->op == ScalarOp::Or) {
      instruction.code = Code::Logic;
    } else if (e->dtype == DType::Bool) {
      instruction.code = floatArgs ? Code::CompareFloat : Code::CompareInt;
    } else {
      instruction.code = floatArgs ? Code::Float : Code::Int;
    }
    instruction.dst = isFloat(e->dtype) ? newFloat() : newInt();
    emit(instruction, once);
    return instruction.dst;
  }

  Register makeCast(ExprRef e, bool once) {
    Register from = lower(e->args[0]);
    bool fromFloat = isFloat(e->args[0]->dtype);
    if (fromFloat && isFloat(e->dtype) && (!isStorageOnly(e->dtype) || e->args[0]->dtype == e->dtype)) {
      return from;
    }
    Instruction instruction{.dtype = e->dtype, .a = from};
    if (isStorageOnly(e->dtype)) {
      instruction.code = Code::Narrow;
    } else if (isFloat(e->dtype)) {
      instruction.code = Code::IntToFloat;
    } else if (fromFloat) {
      instruction.code = e->dtype == DType::Bool ? Code::FloatToBool : Code::FloatToInt;
    } else {
      instruction.code = Code::IntToInt;
    }
    instruction.dst = isFloat(e->dtype) ? newFloat() : newInt();
    emit(instruction, once);
    return instruction.dst;
  }

  /// Loops of one point go, and neighbours that all forms walk through as if they were one loop become one.
  void mergeLoops() {
    auto& forms = program.forms_;
    auto& loops = program.extents_;
    std::vector<std::vector<int64_t>> factors(forms.size());
    for (size_t i = 0; i < extents.size(); ++i) {
      if (extents[i] == 1) {
        continue;
      }
      bool merge = !loops.empty();
      for (size_t f = 0; f < forms.size() && merge; ++f) {
        merge = factors[f].back() == forms[f].factors[i] * extents[i];
      }
      if (merge) {
        loops.back() *= extents[i];
      } else {
        loops.push_back(extents[i]);
      }
      for (size_t f = 0; f < forms.size(); ++f) {
        if (merge) {
          factors[f].back() = forms[f].factors[i];
        } else {
          factors[f].push_back(forms[f].factors[i]);
        }
      }
    }
    for (size_t f = 0; f < forms.size(); ++f) {
      forms[f].factors = std::move(factors[f]);
    }
  }
};

BodyProgram::BodyProgram(const Op& op, std::span<const int64_t> symbolValues)
    : kind_(op.kind), reduction_(op.reduction), bodyType_(op.body->dtype) {
  Lowering lowering{.program = *this, .op = op, .symbolValues = symbolValues};
  for (const IndexVar& var : op.dims) {
    lowering.extents.push_back(var.extent.evaluate(symbolValues));
    points_ *= lowering.extents.back();
  }
  for (const IndexVar& var : op.reduced) {
    lowering.extents.push_back(var.extent.evaluate(symbolValues));
    reducedPoints_ *= lowering.extents.back();
  }
  points_ *= reducedPoints_;
  for (const Value* operand : op.operands) {
    lowering.operandDims.emplace_back();
    for (const Dim& dim : operand->type.dims) {
      lowering.operandDims.back().push_back(dim.evaluate(symbolValues));
    }
  }
  lowering.run();
  lowering.mergeLoops();
  floatRegisters_.resize(size_t(floatCount_) * lanes);
  intRegisters_.resize(size_t(intCount_) * lanes);
}

int64_t wrapTo(DType dtype, int64_t value) {
  switch (dtype) {
  case DType::I32: return static_cast<int32_t>(value);
  case DType::U32: return static_cast<uint32_t>(value);
  case DType::U8: return static_cast<uint8_t>(value);
  case DType::Bool: return value != 0;
  case DType::I64:
  case DType::F32:
  case DType::F64:
  case DType::BF16:
  case DType::F16: return value;
  }
  DNN_UNREACHABLE("every element type wraps in some way");
}

} // namespace dnn::graph
