// One instruction over the lanes of a round.
#include "compiler/graph/body_program.h"

#include "compiler/graph/scalar_math.h"
#include "compiler/support/assert.h"
#include "runtime/random/philox.h"
#include "runtime/types/half.h"

#include <algorithm>
#include <cmath>

namespace dnn::graph {

namespace {

template <class T, class F> void map1(T* dst, const T* a, int count, F f) {
  for (int i = 0; i < count; ++i) {
    dst[i] = f(a[i]);
  }
}

template <class D, class T, class F> void map2(D* dst, const T* a, const T* b, int count, F f) {
  for (int i = 0; i < count; ++i) {
    dst[i] = f(a[i], b[i]);
  }
}

template <class T> void compare(ScalarOp op, int64_t* dst, const T* a, const T* b, int count) {
  auto with = [&](auto relation) { map2(dst, a, b, count, relation); };
  if (op == ScalarOp::Lt) {
    with([](T x, T y) { return x < y; });
  } else if (op == ScalarOp::Le) {
    with([](T x, T y) { return x <= y; });
  } else if (op == ScalarOp::Gt) {
    with([](T x, T y) { return x > y; });
  } else if (op == ScalarOp::Ge) {
    with([](T x, T y) { return x >= y; });
  } else if (op == ScalarOp::Eq) {
    with([](T x, T y) { return x == y; });
  } else {
    DNN_ASSERT(op == ScalarOp::Ne, "a comparison");
    with([](T x, T y) { return x != y; });
  }
}

} // namespace

void BodyProgram::executeLinear(const Instruction& instruction) {
  int64_t* dst = ints(instruction.dst);
  const AffineForm& form = forms_[instruction.form];
  int64_t step = form.factors.empty() ? 0 : form.factors.back();
  const int64_t* position = segmentPosition_.data();
  for (const Segment& segment : segments_) {
    int64_t value = form.constant;
    for (int64_t factor : form.factors) {
      value += factor * *position++;
    }
    for (int i = 0; i < segment.length; ++i) {
      dst[segment.start + i] = value + step * i;
    }
  }
}

template <class Out, class In> void BodyProgram::executeLoad(const Instruction& instruction, Out* dst, const In& from) {
  const AffineForm& form = forms_[instruction.form];
  int64_t step = form.factors.empty() ? 0 : form.factors.back();
  const int64_t* position = segmentPosition_.data();
  for (const Segment& segment : segments_) {
    int64_t address = form.constant;
    for (int64_t factor : form.factors) {
      address += factor * *position++;
    }
    const auto* source = from.data() + address;
    Out* out = dst + segment.start;
    if (step == 1) {
      std::copy_n(source, segment.length, out);
    } else {
      for (int i = 0; i < segment.length; ++i) {
        out[i] = source[step * i];
      }
    }
  }
}

bool BodyProgram::executeGather(const Instruction& instruction, int count) {
  const Tensor& from = *operands_[instruction.operand];
  const int64_t* address = ints(instruction.a);
  auto size = static_cast<uint64_t>(from.size());
  auto gather = [&](auto* dst, const auto& data, auto fill) {
    if (instruction.b == noRegister) {
      for (int i = 0; i < count; ++i) {
        if (static_cast<uint64_t>(address[i]) >= size) {
          return false;
        }
        dst[i] = data[static_cast<size_t>(address[i])];
      }
      return true;
    }
    const int64_t* use = ints(instruction.b);
    for (int i = 0; i < count; ++i) {
      dst[i] = use[i] != 0 ? data[static_cast<size_t>(address[i])] : fill;
    }
    return true;
  };
  return instruction.code == Code::GatherFloat ? gather(floats(instruction.dst), from.floats, instruction.number)
                                               : gather(ints(instruction.dst), from.ints, instruction.integer);
}

void BodyProgram::executeFloat(const Instruction& instruction, int count) {
  double* dst = floats(instruction.dst);
  const double* a = floats(instruction.a);
  const double* b = instruction.b == noRegister ? a : floats(instruction.b);
  switch (instruction.op) {
  case ScalarOp::Neg: return map1(dst, a, count, [](double x) { return -x; });
  case ScalarOp::Abs: return map1(dst, a, count, [](double x) { return std::abs(x); });
  case ScalarOp::Exp: return map1(dst, a, count, [](double x) { return std::exp(x); });
  case ScalarOp::Log: return map1(dst, a, count, [](double x) { return std::log(x); });
  case ScalarOp::Log1p: return map1(dst, a, count, [](double x) { return std::log1p(x); });
  case ScalarOp::Expm1: return map1(dst, a, count, [](double x) { return std::expm1(x); });
  case ScalarOp::Sqrt: return map1(dst, a, count, [](double x) { return std::sqrt(x); });
  case ScalarOp::Rsqrt: return map1(dst, a, count, [](double x) { return 1 / std::sqrt(x); });
  case ScalarOp::Sin: return map1(dst, a, count, [](double x) { return std::sin(x); });
  case ScalarOp::Cos: return map1(dst, a, count, [](double x) { return std::cos(x); });
  case ScalarOp::Tanh: return map1(dst, a, count, [](double x) { return std::tanh(x); });
  case ScalarOp::Erf: return map1(dst, a, count, [](double x) { return std::erf(x); });
  case ScalarOp::Lgamma: return map1(dst, a, count, [](double x) { return logGamma(x); });
  case ScalarOp::Digamma: return map1(dst, a, count, [](double x) { return digamma(x); });
  case ScalarOp::Floor: return map1(dst, a, count, [](double x) { return std::floor(x); });
  case ScalarOp::Ceil: return map1(dst, a, count, [](double x) { return std::ceil(x); });
  case ScalarOp::Round: return map1(dst, a, count, [](double x) { return std::nearbyint(x); });
  case ScalarOp::Add: return map2(dst, a, b, count, [](double x, double y) { return x + y; });
  case ScalarOp::Sub: return map2(dst, a, b, count, [](double x, double y) { return x - y; });
  case ScalarOp::Mul: return map2(dst, a, b, count, [](double x, double y) { return x * y; });
  case ScalarOp::Div: return map2(dst, a, b, count, [](double x, double y) { return x / y; });
  case ScalarOp::Pow: return map2(dst, a, b, count, [](double x, double y) { return std::pow(x, y); });
  case ScalarOp::Min: return map2(dst, a, b, count, smaller);
  case ScalarOp::Max: return map2(dst, a, b, count, larger);
  case ScalarOp::Not:
  case ScalarOp::StopGrad:
  case ScalarOp::Mod:
  case ScalarOp::Lt:
  case ScalarOp::Le:
  case ScalarOp::Gt:
  case ScalarOp::Ge:
  case ScalarOp::Eq:
  case ScalarOp::Ne:
  case ScalarOp::And:
  case ScalarOp::Or:
  case ScalarOp::Select: break;
  }
  DNN_UNREACHABLE("not an operator from floats to floats");
}

void BodyProgram::executeInt(const Instruction& instruction, int count) {
  int64_t* dst = ints(instruction.dst);
  const int64_t* a = ints(instruction.a);
  const int64_t* b = instruction.b == noRegister ? a : ints(instruction.b);
  DType dtype = instruction.dtype;
  // Unsigned arithmetic wraps around; the value modulo 2^64 determines the value modulo 2^32.
  auto wrapped = [dtype](uint64_t value) { return wrapTo(dtype, static_cast<int64_t>(value)); };
  using U = uint64_t;
  using I = int64_t;
  switch (instruction.op) {
  case ScalarOp::Neg: return map1(dst, a, count, [&](I x) { return wrapped(U(0) - U(x)); });
  case ScalarOp::Abs: return map1(dst, a, count, [&](I x) { return wrapped(x < 0 ? U(0) - U(x) : U(x)); });
  case ScalarOp::Add: return map2(dst, a, b, count, [&](I x, I y) { return wrapped(U(x) + U(y)); });
  case ScalarOp::Sub: return map2(dst, a, b, count, [&](I x, I y) { return wrapped(U(x) - U(y)); });
  case ScalarOp::Mul: return map2(dst, a, b, count, [&](I x, I y) { return wrapped(U(x) * U(y)); });
  case ScalarOp::Div: return map2(dst, a, b, count, [&](I x, I y) { return wrapped(U(divideFloor(x, y))); });
  case ScalarOp::Mod: return map2(dst, a, b, count, [&](I x, I y) { return wrapped(U(remainderFloor(x, y))); });
  case ScalarOp::Min: return map2(dst, a, b, count, [](I x, I y) { return x < y ? x : y; });
  case ScalarOp::Max: return map2(dst, a, b, count, [](I x, I y) { return x > y ? x : y; });
  case ScalarOp::Exp:
  case ScalarOp::Log:
  case ScalarOp::Log1p:
  case ScalarOp::Expm1:
  case ScalarOp::Sqrt:
  case ScalarOp::Rsqrt:
  case ScalarOp::Sin:
  case ScalarOp::Cos:
  case ScalarOp::Tanh:
  case ScalarOp::Erf:
  case ScalarOp::Lgamma:
  case ScalarOp::Digamma:
  case ScalarOp::Floor:
  case ScalarOp::Ceil:
  case ScalarOp::Round:
  case ScalarOp::Pow:
  case ScalarOp::Not:
  case ScalarOp::StopGrad:
  case ScalarOp::Lt:
  case ScalarOp::Le:
  case ScalarOp::Gt:
  case ScalarOp::Ge:
  case ScalarOp::Eq:
  case ScalarOp::Ne:
  case ScalarOp::And:
  case ScalarOp::Or:
  case ScalarOp::Select: break;
  }
  DNN_UNREACHABLE("not an operator from integers to integers");
}

void BodyProgram::executeLogic(const Instruction& instruction, int count) {
  int64_t* dst = ints(instruction.dst);
  const int64_t* a = ints(instruction.a);
  if (instruction.op == ScalarOp::Not) {
    return map1(dst, a, count, [](int64_t x) { return int64_t(x == 0); });
  }
  const int64_t* b = ints(instruction.b);
  bool isAnd = instruction.op == ScalarOp::And;
  map2(dst, a, b, count, [isAnd](int64_t x, int64_t y) { return isAnd ? x & y : x | y; });
}

void BodyProgram::execute(const Instruction& instruction, int count) {
  switch (instruction.code) {
  case Code::ConstFloat: std::fill_n(floats(instruction.dst), count, instruction.number); return;
  case Code::ConstInt: std::fill_n(ints(instruction.dst), count, instruction.integer); return;
  case Code::Linear: executeLinear(instruction); return;
  case Code::LoadFloat:
    executeLoad(instruction, floats(instruction.dst), operands_[instruction.operand]->floats);
    return;
  case Code::LoadInt: executeLoad(instruction, ints(instruction.dst), operands_[instruction.operand]->ints); return;
  case Code::GatherFloat:
  case Code::GatherInt: inRange_ = inRange_ && executeGather(instruction, count); return;
  case Code::MulAdd:
    map2(ints(instruction.dst), ints(instruction.a), ints(instruction.b), count,
         [stride = instruction.integer](int64_t x, int64_t y) { return x + y * stride; });
    return;
  case Code::InRange: {
    int64_t* dst = ints(instruction.dst);
    const int64_t* a = ints(instruction.a);
    const int64_t* before = instruction.b == noRegister ? nullptr : ints(instruction.b);
    for (int i = 0; i < count; ++i) {
      dst[i] = a[i] >= 0 && a[i] < instruction.integer && (before == nullptr || before[i] != 0);
    }
    return;
  }
  case Code::Float: executeFloat(instruction, count); return;
  case Code::Int: executeInt(instruction, count); return;
  case Code::CompareFloat:
    compare(instruction.op, ints(instruction.dst), floats(instruction.a), floats(instruction.b), count);
    return;
  case Code::CompareInt:
    compare(instruction.op, ints(instruction.dst), ints(instruction.a), ints(instruction.b), count);
    return;
  case Code::Logic: executeLogic(instruction, count); return;
  case Code::SelectFloat: {
    const int64_t* which = ints(instruction.a);
    double* dst = floats(instruction.dst);
    const double* b = floats(instruction.b);
    const double* c = floats(instruction.c);
    for (int i = 0; i < count; ++i) {
      dst[i] = which[i] != 0 ? b[i] : c[i];
    }
    return;
  }
  case Code::SelectInt: {
    const int64_t* which = ints(instruction.a);
    int64_t* dst = ints(instruction.dst);
    const int64_t* b = ints(instruction.b);
    const int64_t* c = ints(instruction.c);
    for (int i = 0; i < count; ++i) {
      dst[i] = which[i] != 0 ? b[i] : c[i];
    }
    return;
  }
  case Code::Narrow:
    for (int i = 0; i < count; ++i) {
      auto single = static_cast<float>(floats(instruction.a)[i]);
      floats(instruction.dst)[i] = static_cast<double>(rounded(instruction.dtype, single));
    }
    return;
  case Code::IntToFloat:
    for (int i = 0; i < count; ++i) {
      floats(instruction.dst)[i] = static_cast<double>(ints(instruction.a)[i]);
    }
    return;
  case Code::FloatToInt:
    for (int i = 0; i < count; ++i) {
      ints(instruction.dst)[i] = truncate(floats(instruction.a)[i], instruction.dtype);
    }
    return;
  case Code::IntToInt:
    map1(ints(instruction.dst), ints(instruction.a), count, [&](int64_t x) { return wrapTo(instruction.dtype, x); });
    return;
  case Code::FloatToBool:
    for (int i = 0; i < count; ++i) {
      ints(instruction.dst)[i] = floats(instruction.a)[i] != 0;
    }
    return;
  case Code::DrawUniform:
  case Code::DrawNormal: {
    auto draw = instruction.code == Code::DrawUniform ? runtime::drawUniform : runtime::drawNormal;
    for (int i = 0; i < count; ++i) {
      floats(instruction.dst)[i] =
          draw(key_.seed, key_.step, static_cast<uint32_t>(instruction.integer),
               static_cast<uint32_t>(ints(instruction.a)[i]), static_cast<uint32_t>(ints(instruction.b)[i]));
    }
    return;
  }
  }
  DNN_UNREACHABLE("every instruction is executed");
}

} // namespace dnn::graph
