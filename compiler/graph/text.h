// The lexical rules that the printer and the parser of the IR share.
#pragma once

#include "compiler/graph/graph.h"

#include <string>
#include <string_view>

namespace dnn::graph {

/// Letter or `_`, then letters, digits, `_` and `.`: what a value, an index or a symbol may be called.
bool isIdentifier(std::string_view text);
/// Identifiers that are constants: true, false, inf, nan, inff64, nanf64.
bool isNumberWord(std::string_view text);
/// What an index cannot be called: these and `let`.
bool isReservedWord(std::string_view text);

/// A constant with the suffix that its type needs: 0.5, 0.5f64, 3, 3i64, 3u8, true. F32 and F64 print the shortest text
/// that reads back as the same value.
std::string printConstant(const Expr& constant);
std::string printFloat(double value, DType dtype);
/// @name, or @"name" where the name is not made of the characters of a path.
std::string printSymbol(std::string_view name);

/// "file:line:column"; empty where it is not known.
std::string placeOf(const Module& module, Loc loc);
/// "text" with \" \\ \n and \xHH escapes.
std::string printString(std::string_view text);
bool isPathCharacter(char c);

/// What the printer calls each value of the function, with its %: the hint where it is a name and unique, else a
/// number.
std::unordered_map<const Value*, std::string> valueNames(const Function& function);

/// The kind that a function of this name has unless its text says otherwise: the first part of a dotted name, else
/// step.
FunctionKind defaultKind(std::string_view functionName);

} // namespace dnn::graph
