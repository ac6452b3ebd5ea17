// Element types of tensors: one list for the compiler and the runtime, with the codes that checkpoints and the encoded
// plan use.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace dnn {

enum class DType : uint8_t { F32 = 0, F64 = 1, I32 = 2, I64 = 3, U8 = 4, U32 = 5, Bool = 6, BF16 = 7, F16 = 8 };
constexpr DType lastDType = DType::F16;

constexpr std::string_view nameOf(DType t) {
  switch (t) {
  case DType::F32: return "f32";
  case DType::F64: return "f64";
  case DType::I32: return "i32";
  case DType::I64: return "i64";
  case DType::U8: return "u8";
  case DType::U32: return "u32";
  case DType::Bool: return "bool";
  case DType::BF16: return "bf16";
  case DType::F16: return "f16";
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
  case DType::BF16:
  case DType::F16: return 2;
  case DType::U8:
  case DType::Bool: return 1;
  }
  return 0;
}

/// Floats of 16 bits are kept in memory alone: what computes with them reads them as f32, exactly, and what stores into
/// them rounds an f32.
constexpr bool isStorageOnly(DType t) { return t == DType::BF16 || t == DType::F16; }
/// The type in which elements of this type are computed, and that their gradients have.
constexpr DType computedAs(DType t) { return isStorageOnly(t) ? DType::F32 : t; }

constexpr bool isFloat(DType t) { return t == DType::F32 || t == DType::F64 || isStorageOnly(t); }
constexpr bool isInteger(DType t) { return !isFloat(t) && t != DType::Bool; }

inline std::optional<DType> findDType(std::string_view name) {
  for (uint8_t code = 0; code <= static_cast<uint8_t>(lastDType); ++code) {
    if (nameOf(static_cast<DType>(code)) == name) {
      return static_cast<DType>(code);
    }
  }
  return std::nullopt;
}

} // namespace dnn
