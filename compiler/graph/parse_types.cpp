#include "compiler/graph/affine.h"
#include "compiler/graph/parser.h"
#include "compiler/graph/text.h"

#include <algorithm>
#include <limits>

namespace dnn::graph {

void Parser::parseResultTypes(Op& op) {
  lexer_.expect(":");
  size_t offset = lexer_.at().offset;
  size_t count = 0;
  do {
    TensorType type = parseType();
    if (count < op.results.size()) {
      op.results[count]->type = std::move(type);
    }
    ++count;
  } while (lexer_.take(","));
  if (count != op.results.size()) {
    lexer_.failAt(offset, std::to_string(count) + " types for " + std::to_string(op.results.size()) + " results");
  }
}

std::vector<IndexVar> Parser::parseDomain() {
  std::vector<IndexVar> vars;
  if (lexer_.take("]")) {
    return vars;
  }
  do {
    size_t offset = lexer_.at().offset;
    std::string name = lexer_.identifier("an index").value_or("");
    if (isReservedWord(name) || std::ranges::find(indices_, name) != indices_.end()) {
      lexer_.failAt(offset,
                    "the index `" + name + "` " + (isReservedWord(name) ? "has a reserved name" : "is declared twice"));
    }
    lexer_.expect(":");
    indices_.push_back(name);
    vars.push_back({std::move(name), parseDim()});
  } while (lexer_.take(","));
  lexer_.expect("]");
  return vars;
}

Value* Parser::parseValue() {
  size_t offset = lexer_.at().offset;
  std::optional<std::string> name = lexer_.valueName();
  if (!name) {
    return nullptr;
  }
  auto found = values_.find(*name);
  if (found == values_.end()) {
    lexer_.failAt(offset, "%" + *name + " is not defined before this use");
    return nullptr;
  }
  return found->second;
}

std::vector<Value*> Parser::parseValueList() {
  std::vector<Value*> values;
  do {
    if (Value* v = parseValue()) {
      values.push_back(v);
    }
  } while (lexer_.take(","));
  return values;
}

std::vector<Value*> Parser::parseValuesInBrackets() {
  lexer_.expect("(");
  std::vector<Value*> values;
  if (!lexer_.isAt(")")) {
    values = parseValueList();
  }
  lexer_.expect(")");
  return values;
}

TensorType Parser::parseElementType() {
  TensorType type;
  size_t offset = lexer_.at().offset;
  std::string name = lexer_.identifier("an element type").value_or("");
  if (std::optional<DType> dtype = findDType(name)) {
    type.dtype = *dtype;
  } else {
    lexer_.failAt(offset, "there is no element type `" + name + "`");
  }
  if (lexer_.take("<")) {
    type.bound = parseDim();
  }
  return type;
}

TensorType Parser::parseType() {
  TensorType type;
  size_t offset = lexer_.at().offset;
  std::string name = lexer_.identifier("a type").value_or("");
  if (std::optional<DType> dtype = findDType(name)) {
    type.dtype = *dtype;
  } else {
    lexer_.failAt(offset, "there is no element type `" + name + "`");
  }
  if (lexer_.take("[") && !lexer_.take("]")) {
    do {
      type.dims.push_back(parseDim());
    } while (lexer_.take(","));
    lexer_.expect("]");
  }
  if (lexer_.take("<")) {
    type.bound = parseDim();
  }
  return type;
}

Dim Parser::parseDim() {
  Dim dim;
  int64_t sign = lexer_.take("-") ? -1 : 1;
  while (true) {
    size_t offset = lexer_.at().offset;
    int64_t factor = 1;
    bool constant = lexer_.at().kind == Token::Kind::Number;
    if (constant) {
      factor = lexer_.integer("an extent").value_or(0);
      constant = !lexer_.take("*");
    }
    const auto none = std::vector<Symbol>();
    const auto& symbols = function_ != nullptr ? function_->symbols : none;
    Dim term(1);
    if (!constant) {
      std::string name = lexer_.identifier("an extent: a number or a symbol").value_or("");
      auto found = std::ranges::find(symbols, name, &Symbol::name);
      if (found == symbols.end()) {
        lexer_.failAt(offset, function_ != nullptr ? "the function declares no symbol `" + name + "`"
                                                   : "a persistent tensor has constant extents");
        return dim;
      }
      term = Dim::symbol(static_cast<SymbolId>(found - symbols.begin()));
    }
    if (factor <= maxExtent) {
      dim = dim + term * (sign * factor);
    }
    if (factor > maxExtent || !isPossibleExtent(dim, symbols)) {
      lexer_.failAt(offset, "an extent is at most " + std::to_string(maxExtent));
      return dim;
    }
    if (lexer_.take("+")) {
      sign = 1;
    } else if (lexer_.take("-")) {
      sign = -1;
    } else {
      return dim;
    }
  }
}

} // namespace dnn::graph
