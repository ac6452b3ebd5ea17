// Walks over statements of the program: what they read, what they define, and the expressions in them.
#pragma once

#include "compiler/sema/program.h"
#include "compiler/sema/scalar.h"

#include <functional>
#include <set>

namespace dnn::sema {

/// Calls visit for each variable that the statement, with all that stands in it, reads; some are defined in it.
void forEachUse(const Statement& stmt, const std::function<void(VarId)>& visit);
/// Calls visit for each variable that what follows the statement may read.
void forEachResult(const Statement& stmt, const std::function<void(VarId)>& visit);
/// The indices that expressions in the statement use and nothing in it binds.
std::set<IndexId> freeIndices(const Statement& stmt);
/// Replaces every expression in the statement.
void rewriteScalars(Statement& stmt, const std::function<ScalarPtr(const ScalarPtr&)>& rewrite);

} // namespace dnn::sema
