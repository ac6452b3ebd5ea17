// Which names a piece of syntax defines or mentions, without looking at what they mean.
#pragma once

#include "compiler/ast/ast.h"

#include <string>
#include <vector>

namespace dnn::sema {

/// What a declaration of a file defines; null: a train block.
const ast::Name* definedName(const ast::Decl& decl);
/// Does the expression name it, other than as what a scan in it binds?
bool mentions(const ast::Expr& e, const std::string& name);
/// How many values the body of a scan emits; at most, if that depends on what is known later.
size_t emitCount(const ast::Block& body);
/// The names that a statement gives to what stands behind it.
std::vector<const ast::Name*> definedNames(const ast::Stmt& stmt);

} // namespace dnn::sema
