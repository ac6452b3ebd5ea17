#include "runtime/data/elements.h"

#include "runtime/support/extent.h"
#include "runtime/support/text.h"
#include "runtime/types/half.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace dnn::runtime {

using plan::DType;

namespace {

template <class T> T load(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/// Calls visit with a value of the C++ type of the element type.
template <class Visit> auto withType(FileType type, Visit visit) {
  switch (type) {
  case FileType::F32: return visit(float{});
  case FileType::F64: return visit(double{});
  case FileType::I8: return visit(int8_t{});
  case FileType::I16: return visit(int16_t{});
  case FileType::I32: return visit(int32_t{});
  case FileType::I64: return visit(int64_t{});
  case FileType::U8: return visit(uint8_t{});
  case FileType::U32: return visit(uint32_t{});
  case FileType::Bool: return visit(bool{});
  case FileType::BF16: return visit(Bf16{});
  case FileType::F16: return visit(F16{});
  }
  return visit(uint8_t{});
}

template <class T> constexpr bool isHalf = std::is_same_v<T, Bf16> || std::is_same_v<T, F16>;

template <class From, class To> bool convertOne(From value, To& result) {
  if constexpr (isHalf<From>) {
    return convertOne(static_cast<float>(value), result);
  } else if constexpr (isHalf<To>) {
    result = To(value);
    return true;
  } else if constexpr (std::is_same_v<To, bool>) {
    result = value == From{1};
    return value == From{0} || value == From{1};
  } else if constexpr (std::is_floating_point_v<To>) {
    result = static_cast<To>(value);
    return true;
  } else if constexpr (std::is_floating_point_v<From>) {
    // 2^digits is exact in From, and the first value that does not fit.
    From limit = std::ldexp(From{1}, std::numeric_limits<To>::digits);
    From least = std::is_signed_v<To> ? -limit : From{0};
    if (!(value >= least && value < limit) || value != std::trunc(value)) {
      return false;
    }
    result = static_cast<To>(value);
    return true;
  } else {
    auto wide = static_cast<int64_t>(value);
    result = static_cast<To>(wide);
    return wide >= static_cast<int64_t>(std::numeric_limits<To>::min()) &&
           wide <= static_cast<int64_t>(std::numeric_limits<To>::max());
  }
}

} // namespace

int byteSize(FileType type) {
  return withType(type, [](auto zero) { return static_cast<int>(sizeof zero); });
}

FileType fileType(DType dtype) {
  switch (dtype) {
  case DType::F32: return FileType::F32;
  case DType::F64: return FileType::F64;
  case DType::I32: return FileType::I32;
  case DType::I64: return FileType::I64;
  case DType::U8: return FileType::U8;
  case DType::U32: return FileType::U32;
  case DType::Bool: return FileType::Bool;
  case DType::BF16: return FileType::BF16;
  case DType::F16: return FileType::F16;
  }
  return FileType::U8;
}

DType widened(FileType type) {
  switch (type) {
  case FileType::BF16:
  case FileType::F16:
  case FileType::F32: return DType::F32;
  case FileType::F64: return DType::F64;
  case FileType::I8:
  case FileType::I16:
  case FileType::I32: return DType::I32;
  case FileType::I64: return DType::I64;
  case FileType::U8: return DType::U8;
  case FileType::U32: return DType::U32;
  case FileType::Bool: return DType::Bool;
  }
  return DType::U8;
}

bool makeColumn(const plan::Port& port, Column& column) {
  column = {};
  column.dtype = port.dtype;
  column.dims = port.dims;
  uint64_t elements = 0;
  if (!elementCount(port.dims, elements) || elements > uint64_t{1} << 37) {
    return false;
  }
  column.rowBytes = elements * static_cast<uint64_t>(plan::byteSize(port.dtype));
  column.stride = column.rowBytes;
  if (!port.varying.empty()) {
    column.placeBytes = column.rowBytes / static_cast<uint64_t>(port.dims[0]);
    column.starts = {0};
  }
  column.lengths = port.lengthOf > 0;
  return true;
}

void appendLength(const Column& sequences, uint64_t row, Column& lengths) {
  auto length = static_cast<int32_t>(sequences.bytesOf(row) / sequences.placeBytes);
  const auto* bytes = reinterpret_cast<const uint8_t*>(&length);
  lengths.bytes.insert(lengths.bytes.end(), bytes, bytes + sizeof length);
}

bool convertInto(FileType from, const uint8_t* values, uint64_t count, Column& column, uint64_t& bad) {
  FileType to = fileType(column.dtype);
  size_t start = column.bytes.size();
  if (from == to && from != FileType::Bool) {
    column.bytes.insert(column.bytes.end(), values, values + count * static_cast<uint64_t>(byteSize(from)));
    return true;
  }
  column.bytes.resize(start + count * static_cast<uint64_t>(byteSize(to)));
  uint8_t* out = column.bytes.data() + start;
  return withType(from, [&](auto fromZero) {
    return withType(to, [&](auto toZero) {
      using From = decltype(fromZero);
      using To = decltype(toZero);
      for (uint64_t i = 0; i < count; ++i) {
        // A bool in a file is any byte until it has been looked at.
        using Raw = std::conditional_t<std::is_same_v<From, bool>, uint8_t, From>;
        To result{};
        if (!convertOne(load<Raw>(values + i * sizeof(From)), result)) {
          bad = i;
          return false;
        }
        std::memcpy(out + i * sizeof(To), &result, sizeof result);
      }
      return true;
    });
  });
}

bool findBadValue(const Column& column, int64_t bound, uint64_t& bad, std::string& reason) {
  return withType(fileType(column.dtype), [&](auto zero) {
    using T = decltype(zero);
    uint64_t count = column.bytes.size() / sizeof(T);
    const uint8_t* bytes = column.bytes.data();
    if constexpr (std::is_floating_point_v<T> || isHalf<T>) {
      for (uint64_t i = 0; i < count; ++i) {
        auto value = static_cast<double>(load<T>(bytes + i * sizeof(T)));
        if (!std::isfinite(value)) {
          bad = i;
          reason = format("is %g; the values must be finite", value);
          return true;
        }
      }
    } else if constexpr (!std::is_same_v<T, bool>) {
      for (uint64_t i = 0; bound > 0 && i < count; ++i) {
        auto value = static_cast<int64_t>(load<T>(bytes + i * sizeof(T)));
        if (value < 0 || value >= bound) {
          bad = i;
          reason = format("is %lld; the values must be in 0..%lld", static_cast<long long>(value),
                          static_cast<long long>(bound - 1));
          return true;
        }
      }
    }
    return false;
  });
}

double numberAt(DType dtype, const uint8_t* values, uint64_t index) {
  return withType(fileType(dtype), [&](auto zero) {
    using T = std::conditional_t<std::is_same_v<decltype(zero), bool>, uint8_t, decltype(zero)>;
    return static_cast<double>(load<T>(values + index * sizeof(T)));
  });
}

std::string valueText(FileType type, const uint8_t* value) {
  return withType(type, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (isHalf<T>) {
      return shortest(static_cast<float>(load<T>(value)));
    } else if constexpr (std::is_floating_point_v<T>) {
      return shortest(load<T>(value));
    } else if constexpr (std::is_same_v<T, bool>) {
      return std::string(*value != 0 ? "1" : "0");
    } else {
      return format("%lld", static_cast<long long>(load<T>(value)));
    }
  });
}

} // namespace dnn::runtime
