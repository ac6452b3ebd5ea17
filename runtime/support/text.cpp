#include "runtime/support/text.h"

#include "runtime/support/status.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace dnn::runtime {

static std::string formatList(const char* format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  char buffer[256];
  int length = std::vsnprintf(buffer, sizeof buffer, format, arguments);
  std::string text;
  if (length >= 0 && length < static_cast<int>(sizeof buffer)) {
    text.assign(buffer, static_cast<size_t>(length));
  } else if (length >= 0) {
    text.resize(static_cast<size_t>(length));
    std::vsnprintf(text.data(), text.size() + 1, format, again);
  }
  va_end(again);
  return text;
}

std::string format(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::string text = formatList(format, arguments);
  va_end(arguments);
  return text;
}

Status failure(ExitCode code, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Status status{code, formatList(format, arguments)};
  va_end(arguments);
  return status;
}

const char* name(plan::DType dtype) { return nameOf(dtype).data(); } // of a literal, which ends with 0

std::string describe(plan::DType dtype, const std::vector<int64_t>& dims) {
  std::string text = name(dtype);
  for (size_t i = 0; i < dims.size(); ++i) {
    text += format("%s%lld", i == 0 ? "[" : ", ", static_cast<long long>(dims[i]));
  }
  return dims.empty() ? text : text + "]";
}

std::string grouped(uint64_t value) {
  std::string digits = format("%llu", static_cast<unsigned long long>(value));
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) {
      text += ',';
    }
    text += digits[i];
  }
  return text;
}

std::string duration(double seconds) {
  if (seconds < 0.000995) {
    return format("%.0f µs", 1e6 * seconds);
  }
  if (seconds < 0.0995) {
    return format("%.1f ms", 1000 * seconds);
  }
  if (seconds < 9.995) {
    return format("%.2f s", seconds);
  }
  if (seconds < 99.95) {
    return format("%.1f s", seconds);
  }
  auto whole = static_cast<unsigned long long>(seconds + 0.5);
  if (whole < 3600) {
    return format("%llu:%02llu", whole / 60, whole % 60);
  }
  return format("%llu:%02llu:%02llu", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string shortest(float value) {
  for (int digits = 6; digits < 9; ++digits) {
    std::string text = format("%.*g", digits, static_cast<double>(value));
    if (std::strtof(text.c_str(), nullptr) == value) {
      return text;
    }
  }
  return format("%.9g", static_cast<double>(value));
}

std::string shortest(double value) {
  for (int digits = 15; digits < 17; ++digits) {
    std::string text = format("%.*g", digits, value);
    if (std::strtod(text.c_str(), nullptr) == value) {
      return text;
    }
  }
  return format("%.17g", value);
}

std::string jsonEscaped(std::string_view text) {
  std::string result;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (byte < 0x20) {
      result += format("\\u%04x", byte);
    } else {
      result += c;
    }
  }
  return result;
}

std::string printable(std::string_view text, size_t limit) {
  std::string result;
  for (char c : text.substr(0, limit)) {
    auto byte = static_cast<unsigned char>(c);
    result += byte < 0x20 || byte > 126 ? format("\\x%02x", byte) : std::string(1, c);
  }
  return text.size() > limit ? result + "..." : result;
}

} // namespace dnn::runtime
