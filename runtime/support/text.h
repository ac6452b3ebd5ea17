// Text with the printf family: iostreams would be half of the executable.
#pragma once

#include "runtime/plan/plan.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dnn::runtime {

__attribute__((format(printf, 1, 2))) std::string format(const char* format, ...);

/// "f32", "i64", "bool": the spelling of the language.
const char* name(plan::DType dtype);

/// "f32[64, 10]"; a scalar is "f32".
std::string describe(plan::DType dtype, const std::vector<int64_t>& dims);

/// 1234567 → "1,234,567".
std::string grouped(uint64_t value);

/// "12 µs", "3.1 ms", "0.42 s", "12.3 s", "3:25", "1:02:09".
std::string duration(double seconds);

/// The shortest of 6 to 9 significant digits that reads back as the same float.
std::string shortest(float value);
/// The same for a double, with 15 to 17 digits.
std::string shortest(double value);

/// A string as it stands between the quotes of JSON.
std::string jsonEscaped(std::string_view text);

/// The text with control characters and bytes above 126 shown as \xNN and cut after `limit` characters.
std::string printable(std::string_view text, size_t limit = 40);

} // namespace dnn::runtime
