#include "compiler/graph/body_program.h"

#include "compiler/graph/scalar_math.h"
#include "compiler/support/assert.h"

#include <algorithm>
#include <limits>

namespace dnn::graph {

namespace {

/// The values of max and min over no points.
constexpr double infinity = std::numeric_limits<double>::infinity();
int64_t smallestOf(DType dtype) {
  switch (dtype) {
  case DType::I32: return std::numeric_limits<int32_t>::min();
  case DType::I64: return std::numeric_limits<int64_t>::min();
  case DType::U8:
  case DType::U32:
  case DType::Bool:
  case DType::F32:
  case DType::F64:
  case DType::BF16:
  case DType::F16: return 0;
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
  case DType::F64:
  case DType::BF16:
  case DType::F16: return 1;
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
