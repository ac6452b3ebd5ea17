// The reader of IR text, split by construct: parser.cpp reads modules, functions and ops, parse_types.cpp types,
// domains and uses of values, parse_expr.cpp expressions. Errors are sticky (see Lexer): after the first one every read
// gives a harmless value and the loops end.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/graph/lexer.h"

#include <limits>
#include <unordered_map>

namespace dnn::graph {

/// Expressions of greater height are refused.
constexpr int maxExprHeight = 1000;
/// Extents, factors and bounds: an index is an i32.
constexpr int64_t maxExtent = std::numeric_limits<int32_t>::max();

class Parser {
public:
  Parser(std::string_view text, std::string_view fileName) : lexer_(text, fileName) {}
  Result<std::unique_ptr<Module>> run();

private:
  // parser.cpp
  void parsePersistent(Persistent::Kind kind);
  void parseFunction();
  void parseSymbols();
  void parseBlock(Block& block, bool inGroup);
  void parseOp(Block& block);
  void parseComp(Op& op);
  void parseScatter(Op& op);
  void finishBody(Op& op);
  void parseGroup(Op& op);
  void parseScan(Op& op);
  void parseScanHead(Op& op);
  void finishParsedScan(Op& op, size_t offset);
  void parseGrad(Op& op);
  void parseLocation(Op& op);
  std::vector<std::string> parseResultNames();
  void define(Op& op, const std::vector<std::string>& names, size_t offset);

  // parse_types.cpp
  /// Sets the result types; there must be as many as names on the left.
  void parseResultTypes(Op& op);
  std::vector<IndexVar> parseDomain();
  Value* parseValue();
  std::vector<Value*> parseValueList();
  std::vector<Value*> parseValuesInBrackets();
  TensorType parseElementType();
  TensorType parseType();
  Dim parseDim();

  // parse_expr.cpp
  ExprRef parseSubscript(Op& op) { return parseSum(op); }
  ExprRef parseExpression(Op& op) { return parseSum(op); }
  void parseShared(Op& op);
  ExprRef parseSum(Op& op);
  ExprRef parseProduct(Op& op);
  ExprRef parsePrimary(Op& op);
  ExprRef parseNumber(bool negative);
  ExprRef parseCall(Op& op, const std::string& name, size_t offset);
  ExprRef parseDraw(Op& op, Distribution distribution);
  ExprRef parseAccess(Op& op);
  double parseFill(DType dtype);
  ExprRef applyOrFail(ScalarOp scalarOp, std::vector<ExprRef> args, size_t offset);
  /// What is returned after an error.
  ExprRef nothing() { return module_->exprs.integer(0); }

  Lexer lexer_;
  std::unique_ptr<Module> module_ = std::make_unique<Module>();
  Function* function_ = nullptr;
  std::unordered_map<std::string, Value*> values_;
  std::vector<std::string> indices_; // of the op being read
  std::vector<ExprRef> shared_;      // of the op being read: its `let`s
  int depth_ = 0;
  int scans_ = 0; // around the op being read
};

} // namespace dnn::graph
