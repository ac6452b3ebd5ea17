// The functions that are in the language itself; everything else is the library's.
#pragma once

#include "compiler/sema/value.h"

#include <optional>
#include <string>
#include <vector>

namespace dnn::sema {

std::optional<CoreFn> findCoreFn(const std::string& name);
/// All of them, and `training`.
std::vector<std::string> coreNames();

} // namespace dnn::sema
