// The check of names, before anything is instantiated: it also sees definitions that no program uses and branches that
// are not taken.
#pragma once

#include "compiler/ast/ast.h"
#include "compiler/diag/diagnostics.h"

#include <set>
#include <string>
#include <vector>

namespace dnn::sema {

/// Reports names that nothing binds, definitions, params, statics and indices that are bound twice, and reduction
/// indices that their body does not use. `visible`: what other files and the language define.
void checkNames(const std::vector<const ast::File*>& files, const std::set<std::string>& visible,
                diag::Diagnostics& diags);

/// The names that a file defines for others.
void collectDefinitions(const ast::File& file, std::set<std::string>& names);

} // namespace dnn::sema
