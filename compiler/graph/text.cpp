#include "compiler/graph/text.h"

#include "compiler/support/assert.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace dnn::graph {

namespace {
bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool isDigit(char c) { return c >= '0' && c <= '9'; }

template <class T> std::string shortest(T value) {
  char buffer[64];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return std::string(buffer, end);
}
} // namespace

bool isIdentifier(std::string_view text) {
  return !text.empty() && isLetter(text[0]) &&
         std::ranges::all_of(text, [](char c) { return isLetter(c) || isDigit(c) || c == '.'; });
}

bool isNumberWord(std::string_view text) {
  return text == "true" || text == "false" || text == "inf" || text == "nan" || text == "inff64" || text == "nanf64" ||
         text == "infbf16" || text == "nanbf16" || text == "inff16" || text == "nanf16";
}

bool isReservedWord(std::string_view text) { return isNumberWord(text) || text == "let"; }

bool isPathCharacter(char c) { return isLetter(c) || isDigit(c) || c == '.' || c == '/' || c == '[' || c == ']'; }

std::string printFloat(double value, DType dtype) {
  DNN_ASSERT(isFloat(dtype), "a float constant has a float type");
  std::string text;
  if (std::isnan(value)) {
    text = "nan";
  } else if (std::isinf(value)) {
    text = value < 0 ? "-inf" : "inf";
  } else {
    text = dtype == DType::F64 ? shortest(value) : shortest(static_cast<float>(value));
    if (text.find_first_of(".e") == std::string::npos) {
      text += ".0";
    }
  }
  return dtype == DType::F32 ? text : text + std::string(nameOf(dtype));
}

std::string printConstant(const Expr& constant) {
  switch (constant.dtype) {
  case DType::F32:
  case DType::F64:
  case DType::BF16:
  case DType::F16: return printFloat(constant.number, constant.dtype);
  case DType::Bool: return constant.integer != 0 ? "true" : "false";
  case DType::I32: return std::to_string(constant.integer);
  case DType::I64:
  case DType::U8:
  case DType::U32: return std::to_string(constant.integer) + std::string(nameOf(constant.dtype));
  }
  DNN_UNREACHABLE("every element type has constants");
}

std::string printString(std::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned char>(c));
      quoted += escape;
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string printSymbol(std::string_view name) {
  bool plain = !name.empty() && std::ranges::all_of(name, isPathCharacter) && name.find("//") == name.npos;
  return "@" + (plain ? std::string(name) : printString(name));
}

FunctionKind defaultKind(std::string_view functionName) {
  std::string_view first = functionName.substr(0, functionName.find('.'));
  for (FunctionKind kind : {FunctionKind::Init, FunctionKind::Step, FunctionKind::Eval, FunctionKind::Predict,
                            FunctionKind::Generate, FunctionKind::Helper}) {
    if (first == nameOf(kind)) {
      return kind;
    }
  }
  return FunctionKind::Step;
}

} // namespace dnn::graph
