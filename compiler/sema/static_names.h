#pragma once

#include "compiler/ast/ast.h"

#include <set>
#include <string>

namespace dnn::sema {

/// The names of a definition's static parameters.
std::set<std::string> staticNames(const ast::Signature& signature);

} // namespace dnn::sema
