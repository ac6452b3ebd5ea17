// Element types of tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace dnn {

enum class DType : uint8_t { F32, F64, I32, I64, U8, U32, Bool };

constexpr std::string_view nameOf(DType t) {
  switch (t) {
  case DType::F32: return "f32";
  case DType::F64: return "f64";
  case DType::I32: return "i32";
  case DType::I64: return "i64";
  case DType::U8: return "u8";
  case DType::U32: return "u32";
  case DType::Bool: return "bool";
  }
  return "?";
}

constexpr int byteSize(DType t) {
  switch (t) {
  case DType::F64:
  case DType::I64: return 8;
  case DType::F32:
  case DType::I32:
  case DType::U32: return 4;
  case DType::U8:
  case DType::Bool: return 1;
  }
  return 0;
}

constexpr bool isFloat(DType t) { return t == DType::F32 || t == DType::F64; }
constexpr bool isInteger(DType t) { return !isFloat(t) && t != DType::Bool; }

inline std::optional<DType> findDType(std::string_view name) {
  for (DType t : {DType::F32, DType::F64, DType::I32, DType::I64, DType::U8, DType::U32, DType::Bool}) {
    if (nameOf(t) == name) {
      return t;
    }
  }
  return std::nullopt;
}

} // namespace dnn
