#include "compiler/graph/body_program.h"

#include "compiler/graph/scalar_math.h"
#include "compiler/support/assert.h"
#include "runtime/random/philox.h"

#include <algorithm>
#include <cmath>
#include <limits>

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

/// The first of equals; NaN if either is NaN.
double smaller(double x, double y) { return y < x || std::isnan(y) ? y : x; }
double larger(double x, double y) { return y > x || std::isnan(y) ? y : x; }

constexpr double infinity = std::numeric_limits<double>::infinity();
/// The values of max and min over no points.
int64_t smallestOf(DType dtype) {
  switch (dtype) {
  case DType::I32: return std::numeric_limits<int32_t>::min();
  case DType::I64: return std::numeric_limits<int64_t>::min();
  case DType::U8:
  case DType::U32:
  case DType::Bool:
  case DType::F32:
  case DType::F64: return 0;
  }
  return 0;
}
int64_t largestOf(DType dtype) {
  switch (dtype) {
  case DType::I32: return std::numeric_limits<int32_t>::max();
  case DType::I64: return std::numeric_limits<int64_t>::max();
  case DType::U8: return std::numeric_limits<uint8_t>::max();
  case DType::U32: return std::numeric_limits<uint32_t>::max();
  case DType::Bool:
  case DType::F32:
  case DType::F64: return 1;
  }
  return 1;
}

} // namespace

bool BodyProgram::run(std::span<const Tensor* const> operands, DrawKey key, Tensor& result) {
  operands_ = operands;
  key_ = key;
  output_ = 0;
  reduced_ = 0;
  inRange_ = true;
  position_.assign(extents_.size(), 0);
  if (kind_ == OpKind::Scatter) {
    std::ranges::fill(result.floats, 0.0);
    std::ranges::fill(result.ints, 0);
  }
  // Over no points nothing may be read, but a reduction still has its start value.
  if (points_ > 0) {
    segments_ = {{0, lanes}};
    segmentPosition_.assign(extents_.size(), 0);
    for (const Instruction& instruction : prologue_) {
      execute(instruction, lanes);
    }
  } else if (kind_ == OpKind::Comp && reducedPoints_ == 0 && result.size() > 0) {
    isFloat(bodyType_) ? reduceFloats(nullptr, 0, result) : reduceInts(nullptr, 0, result);
  }
  for (int64_t point = 0; point < points_ && inRange_; point += lanes) {
    int count = static_cast<int>(std::min<int64_t>(lanes, points_ - point));
    fillSegments(count);
    for (const Instruction& instruction : loop_) {
      execute(instruction, count);
    }
    if (kind_ == OpKind::Scatter) {
      scatter(count, result);
    } else if (isFloat(bodyType_)) {
      reduceFloats(floats(value_), count, result);
    } else {
      reduceInts(ints(value_), count, result);
    }
  }
  return inRange_;
}

/// Cuts the next lanes into runs along the innermost loop and moves the position behind them.
void BodyProgram::fillSegments(int count) {
  segments_.clear();
  segmentPosition_.clear();
  for (int lane = 0; lane < count;) {
    segmentPosition_.insert(segmentPosition_.end(), position_.begin(), position_.end());
    int length = 1;
    if (!extents_.empty()) {
      length = static_cast<int>(std::min<int64_t>(count - lane, extents_.back() - position_.back()));
      position_.back() += length;
      for (size_t loop = extents_.size(); loop-- > 1 && position_[loop] == extents_[loop];) {
        position_[loop] = 0;
        ++position_[loop - 1];
      }
    }
    segments_.push_back({lane, length});
    lane += length;
  }
}

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

/// result[output] = combine over its points, in order; a result may begin in one round of lanes and end in another.
template <class T, class Combine>
void BodyProgram::reduceWith(const T* values, int count, std::vector<T>& result, T start, Combine combine) {
  if (count == 0) {
    std::ranges::fill(result, start);
    return;
  }
  T soFar;
  if constexpr (std::is_same_v<T, double>) {
    soFar = reduced_ == 0 ? start : floatSoFar_;
  } else {
    soFar = reduced_ == 0 ? start : intSoFar_;
  }
  for (int lane = 0; lane < count;) {
    int length = static_cast<int>(std::min<int64_t>(count - lane, reducedPoints_ - reduced_));
    for (int i = lane; i < lane + length; ++i) {
      soFar = combine(soFar, values[i]);
    }
    lane += length;
    reduced_ += length;
    if (reduced_ == reducedPoints_) {
      result[static_cast<size_t>(output_++)] = soFar;
      soFar = start;
      reduced_ = 0;
    }
  }
  if constexpr (std::is_same_v<T, double>) {
    floatSoFar_ = soFar;
  } else {
    intSoFar_ = soFar;
  }
}

/// The position of the best point, the first of equals.
template <class T> void BodyProgram::reduceArg(const T* values, int count, Tensor& result) {
  bool isMax = reduction_ == Reduction::ArgMax;
  if (count == 0) {
    std::ranges::fill(result.ints, 0);
    return;
  }
  T soFar = std::is_same_v<T, double> ? static_cast<T>(floatSoFar_) : static_cast<T>(intSoFar_);
  for (int i = 0; i < count; ++i) {
    if (reduced_ == 0) {
      soFar = values[i];
      best_ = 0;
    } else if (isMax ? values[i] > soFar : values[i] < soFar) {
      soFar = values[i];
      best_ = reduced_;
    }
    if (++reduced_ == reducedPoints_) {
      result.ints[static_cast<size_t>(output_++)] = best_;
      reduced_ = 0;
    }
  }
  if constexpr (std::is_same_v<T, double>) {
    floatSoFar_ = soFar;
  } else {
    intSoFar_ = soFar;
  }
}

void BodyProgram::reduceFloats(const double* values, int count, Tensor& result) {
  auto& out = result.floats;
  switch (reduction_) {
  case Reduction::None:
    std::copy_n(values, count, out.begin() + output_);
    output_ += count;
    return;
  case Reduction::Add: return reduceWith(values, count, out, 0.0, [](double x, double y) { return x + y; });
  case Reduction::Mul: return reduceWith(values, count, out, 1.0, [](double x, double y) { return x * y; });
  case Reduction::Max: return reduceWith(values, count, out, -infinity, larger);
  case Reduction::Min: return reduceWith(values, count, out, infinity, smaller);
  case Reduction::ArgMax:
  case Reduction::ArgMin: return reduceArg(values, count, result);
  case Reduction::Any:
  case Reduction::All: break;
  }
  DNN_UNREACHABLE("any and all are of bools");
}

void BodyProgram::reduceInts(const int64_t* values, int count, Tensor& result) {
  auto& out = result.ints;
  DType dtype = bodyType_;
  using I = int64_t;
  switch (reduction_) {
  case Reduction::None:
    std::copy_n(values, count, out.begin() + output_);
    output_ += count;
    return;
  case Reduction::Add:
    return reduceWith(values, count, out, I(0), [=](I x, I y) { return wrapTo(dtype, I(uint64_t(x) + uint64_t(y))); });
  case Reduction::Mul:
    return reduceWith(values, count, out, I(1), [=](I x, I y) { return wrapTo(dtype, I(uint64_t(x) * uint64_t(y))); });
  case Reduction::Max: return reduceWith(values, count, out, smallestOf(dtype), [](I x, I y) { return y > x ? y : x; });
  case Reduction::Min: return reduceWith(values, count, out, largestOf(dtype), [](I x, I y) { return y < x ? y : x; });
  case Reduction::ArgMax:
  case Reduction::ArgMin: return reduceArg(values, count, result);
  case Reduction::Any: return reduceWith(values, count, out, I(0), [](I x, I y) { return x | y; });
  case Reduction::All: return reduceWith(values, count, out, I(1), [](I x, I y) { return x & y; });
  }
  DNN_UNREACHABLE("every reduction is computed");
}

void BodyProgram::scatter(int count, Tensor& result) {
  const int64_t* address = ints(address_);
  auto size = static_cast<uint64_t>(result.size());
  for (int i = 0; i < count; ++i) {
    if (static_cast<uint64_t>(address[i]) >= size) {
      inRange_ = false;
      return;
    }
    if (isFloat(bodyType_)) {
      result.floats[static_cast<size_t>(address[i])] += floats(value_)[i];
    } else {
      int64_t& sum = result.ints[static_cast<size_t>(address[i])];
      sum = wrapTo(bodyType_, static_cast<int64_t>(uint64_t(sum) + uint64_t(ints(value_)[i])));
    }
  }
}

} // namespace dnn::graph
