#include "compiler/graph/parser.h"

#include "compiler/graph/scan.h"
#include "compiler/graph/text.h"
#include "compiler/support/assert.h"

#include <algorithm>
#include <limits>

namespace dnn::graph {

namespace {

/// Larger texts are refused; the largest real models print a few megabytes.
constexpr size_t maxTextBytes = size_t(64) << 20;

std::optional<OpKind> findOpKind(std::string_view spelling) {
  for (OpKind kind : {
#define GRAPH_OP(name, spelling, operands, results) OpKind::name,
#include "compiler/graph/ops.def"
       }) {
    if (nameOf(kind) == spelling) {
      return kind;
    }
  }
  return std::nullopt;
}

} // namespace

Result<std::unique_ptr<Module>> Parser::run() {
  if (lexer_.take("module")) {
    module_->files.push_back(lexer_.string("the module's name").value_or(""));
  }
  while (lexer_.at().kind != Token::Kind::End) {
    if (lexer_.take("param")) {
      parsePersistent(Persistent::Kind::Parameter);
    } else if (lexer_.take("state")) {
      parsePersistent(Persistent::Kind::State);
    } else if (lexer_.take("optimizer_state")) {
      parsePersistent(Persistent::Kind::OptimizerState);
    } else if (lexer_.take("func")) {
      parseFunction();
    } else {
      lexer_.fail("expected `param`, `state`, `optimizer_state` or `func`, found " + lexer_.found());
    }
  }
  if (lexer_.failed()) {
    return lexer_.error();
  }
  return std::move(module_);
}

void Parser::parsePersistent(Persistent::Kind kind) {
  Persistent persistent{.kind = kind};
  persistent.path = lexer_.symbol().value_or("");
  lexer_.expect(":");
  persistent.type = parseType();
  module_->persistents.push_back(std::move(persistent));
}

void Parser::parseFunction() {
  std::string name = lexer_.symbol().value_or("");
  FunctionKind kind = defaultKind(name);
  for (FunctionKind k : {FunctionKind::Init, FunctionKind::Step, FunctionKind::Eval, FunctionKind::Predict,
                         FunctionKind::Generate, FunctionKind::Helper}) {
    if (lexer_.take(nameOf(k))) {
      kind = k;
      break;
    }
  }
  function_ = &module_->addFunction(kind, std::move(name));
  values_.clear();
  if (lexer_.take("[")) {
    parseSymbols();
  }
  lexer_.expect("{");
  parseBlock(function_->body, false);
  if (lexer_.take("return")) {
    function_->returns = parseValueList();
  }
  lexer_.expect("}");
  function_ = nullptr;
}

void Parser::parseSymbols() {
  do {
    size_t offset = lexer_.at().offset;
    Symbol symbol;
    symbol.name = lexer_.identifier("a symbol").value_or("");
    for (const Symbol& other : function_->symbols) {
      if (other.name == symbol.name) {
        lexer_.failAt(offset, "the symbol `" + symbol.name + "` is declared twice");
      }
    }
    lexer_.expect("<=");
    symbol.max = lexer_.integer("the symbol's largest value").value_or(1);
    if (symbol.max < 1 || symbol.max > maxExtent) {
      lexer_.failAt(offset, "a symbol's largest value lies between 1 and " + std::to_string(maxExtent));
    }
    function_->symbols.push_back(std::move(symbol));
  } while (lexer_.take(","));
  lexer_.expect("]");
}

void Parser::parseBlock(Block& block, bool inGroup) {
  while (lexer_.at().kind != Token::Kind::End && !lexer_.isAt("}") && !lexer_.isAt("return")) {
    size_t offset = lexer_.at().offset;
    parseOp(block);
    if (inGroup && !block.ops.empty() && block.ops.back()->body_block != nullptr) {
      lexer_.failAt(offset, "a group inside a group");
    }
  }
}

std::vector<std::string> Parser::parseResultNames() {
  std::vector<std::string> names;
  if (!lexer_.isAt("%")) {
    return names;
  }
  do {
    names.push_back(lexer_.valueName().value_or(""));
  } while (lexer_.take(","));
  lexer_.expect("=");
  return names;
}

void Parser::define(Op& op, const std::vector<std::string>& names, size_t offset) {
  for (size_t i = 0; i < op.results.size(); ++i) {
    if (isIdentifier(names[i])) {
      op.results[i]->name = names[i];
    }
    if (!values_.emplace(names[i], op.results[i]).second) {
      lexer_.failAt(offset, "%" + names[i] + " is defined twice");
    }
  }
}

void Parser::parseOp(Block& block) {
  size_t offset = lexer_.at().offset;
  std::vector<std::string> names = parseResultNames();
  size_t nameOffset = lexer_.at().offset;
  std::optional<std::string> spelling = lexer_.identifier("an operation");
  if (!spelling) {
    return;
  }
  std::optional<OpKind> kind = findOpKind(*spelling);
  if (!kind) {
    lexer_.failAt(nameOffset, "there is no operation `" + *spelling + "`");
    return;
  }
  int results = infoOf(*kind).results;
  if (results >= 0 && names.size() != static_cast<size_t>(results)) {
    lexer_.failAt(nameOffset, "`" + *spelling + "` has " + std::to_string(results) + " results, here are names for " +
                                  std::to_string(names.size()));
    return;
  }
  Op& op = *function_->createOp(*kind, {}, std::vector<TensorType>(names.size()), {});
  switch (*kind) {
  case OpKind::Input:
  case OpKind::Env:
    op.symbol = lexer_.string("a name").value_or("");
    parseResultTypes(op);
    break;
  case OpKind::Param:
  case OpKind::State:
    op.symbol = lexer_.symbol().value_or("");
    parseResultTypes(op);
    break;
  case OpKind::Comp: parseComp(op); break;
  case OpKind::Scatter: parseScatter(op); break;
  case OpKind::Distinct:
  case OpKind::Reshape:
    op.operands = {parseValue()};
    parseResultTypes(op);
    break;
  case OpKind::Concat: {
    op.operands = parseValueList();
    lexer_.expect("axis");
    int64_t axis = lexer_.integer("a dimension").value_or(0);
    op.axis = static_cast<uint32_t>(std::min<int64_t>(axis, std::numeric_limits<uint32_t>::max()));
    parseResultTypes(op);
    break;
  }
  case OpKind::CallVjp:
    op.symbol = lexer_.symbol().value_or("");
    op.operands = parseValuesInBrackets();
    parseResultTypes(op);
    break;
  case OpKind::Grad: parseGrad(op); break;
  case OpKind::Update:
    op.symbol = lexer_.symbol().value_or("");
    lexer_.expect("=");
    op.operands = {parseValue()};
    if (lexer_.take("at")) {
      op.operands.push_back(parseValue());
      lexer_.expect(",");
      op.operands.push_back(parseValue());
    }
    break;
  case OpKind::Output:
    op.symbol = lexer_.string("a name").value_or("");
    lexer_.expect("=");
    op.operands = {parseValue()};
    break;
  case OpKind::Group: parseGroup(op); break;
  case OpKind::Scan: parseScan(op); break;
  case OpKind::Next:
  case OpKind::Emit: op.operands = parseValueList(); break;
  case OpKind::Counter:
  case OpKind::Carry:
  case OpKind::Slice: lexer_.failAt(nameOffset, "`" + *spelling + "` stands in the head of a scan"); break;
  }
  parseLocation(op);
  if (!lexer_.failed()) {
    define(op, names, offset);
    block.ops.push_back(&op);
  }
}

void Parser::parseComp(Op& op) {
  indices_.clear();
  shared_.clear();
  lexer_.expect("[");
  op.dims = parseDomain();
  if (!lexer_.isAt(":")) {
    size_t offset = lexer_.at().offset;
    std::string name = lexer_.identifier("a reduction or `:`").value_or("");
    std::optional<Reduction> reduction = findReduction(name);
    if (!reduction || *reduction == Reduction::None) {
      lexer_.failAt(offset, "there is no reduction `" + name + "`");
    } else {
      op.reduction = *reduction;
    }
    lexer_.expect("[");
    op.reduced = parseDomain();
  }
  lexer_.expect(":");
  TensorType type = parseElementType();
  for (const IndexVar& var : op.dims) {
    type.dims.push_back(var.extent);
  }
  op.results[0]->type = std::move(type);
  lexer_.expect("{");
  parseShared(op);
  op.body = parseExpression(op);
  lexer_.expect("}");
  finishBody(op);
}

/// Printing and analysis walk expressions recursively, so what a text can make is limited, not only its brackets.
void Parser::finishBody(Op& op) {
  if (lexer_.failed()) {
    return;
  }
  std::unordered_map<ExprRef, int> height;
  auto measure = [&](ExprRef root) {
    forEachNode(root, [&](ExprRef e) {
      int tallest = 0;
      for (ExprRef arg : e->args) {
        tallest = std::max(tallest, height.at(arg));
      }
      height[e] = tallest + 1;
    });
    return height.at(root) <= maxExprHeight;
  };
  if (!measure(op.body) || !std::ranges::all_of(op.at, measure)) {
    lexer_.fail("an expression is nested more than " + std::to_string(maxExprHeight) + " deep");
    return;
  }
  normalizeOperands(module_->exprs, op);
}

void Parser::parseScatter(Op& op) {
  indices_.clear();
  shared_.clear();
  lexer_.expect("add");
  op.reduction = Reduction::Add;
  op.results[0]->type = parseType();
  lexer_.expect("[");
  op.dims = parseDomain();
  lexer_.expect("at");
  lexer_.expect("(");
  parseShared(op);
  if (!lexer_.isAt(")")) {
    do {
      op.at.push_back(parseSubscript(op));
    } while (lexer_.take(","));
  }
  lexer_.expect(")");
  lexer_.expect("{");
  parseShared(op);
  op.body = parseExpression(op);
  lexer_.expect("}");
  finishBody(op);
}

void Parser::parseGroup(Op& op) {
  op.anchor = lexer_.identifier("the kind of the group's anchor").value_or("");
  lexer_.expect("{");
  parseBlock(*op.body_block, true);
  lexer_.expect("}");
  lexer_.expect("->");
  op.escapes = parseValuesInBrackets();
  std::unordered_map<const Value*, bool> known; // own values and operands so far
  for (const Op* inner : op.body_block->ops) {
    for (Value* v : inner->operands) {
      if (known.emplace(v, true).second) {
        op.operands.push_back(v);
      }
    }
    for (const Value* v : inner->results) {
      known.emplace(v, true);
    }
  }
}

/// The results have no types yet; their number is that of the names on the left.
void Parser::parseScan(Op& op) {
  size_t offset = lexer_.at().offset;
  if (++scans_ > maxScanDepth) {
    lexer_.failAt(offset, "more than " + std::to_string(maxScanDepth) + " scans in each other");
  }
  indices_.clear();
  lexer_.expect("[");
  op.dims = parseDomain();
  if (op.dims.size() != 1) {
    lexer_.failAt(offset, "a scan runs over one index");
  }
  op.reversed = lexer_.take("reverse");
  if (lexer_.take("save")) {
    int64_t every = lexer_.integer("how many steps").value_or(1);
    op.saveEvery = static_cast<uint32_t>(std::clamp<int64_t>(every, 1, INT32_MAX));
  }
  op.ends = lexer_.take("until");
  parseScanHead(op);
  lexer_.expect("{");
  parseBlock(*op.body_block, false);
  lexer_.expect("}");
  --scans_;
  finishParsedScan(op, offset);
}

/// counter(%t) carry(%h = %h0, …) slice(%x = %xs, …), each of which may be missing.
void Parser::parseScanHead(Op& op) {
  std::vector<Op*>& body = op.body_block->ops;
  auto argument = [&](OpKind kind, size_t offset, const std::string& name, TensorType type) {
    Op* made = function_->createOp(kind, {}, {std::move(type)}, {});
    body.push_back(made);
    if (!lexer_.failed()) {
      define(*made, {name}, offset);
    }
  };
  size_t offset = lexer_.at().offset;
  if (lexer_.take("counter")) {
    lexer_.expect("(");
    std::string name = lexer_.valueName().value_or("");
    argument(OpKind::Counter, offset, name, {DType::I32, {}, op.dims.empty() ? Dim(1) : op.dims[0].extent});
    lexer_.expect(")");
  }
  auto list = [&](OpKind kind) {
    uint32_t count = 0;
    std::vector<std::pair<std::string, Value*>> arguments; // what is on the right is seen from outside only
    lexer_.expect("(");
    do {
      offset = lexer_.at().offset;
      std::string name = lexer_.valueName().value_or("");
      lexer_.expect("=");
      if (Value* from = parseValue()) {
        arguments.emplace_back(name, from);
      }
    } while (lexer_.take(","));
    lexer_.expect(")");
    for (auto& [name, from] : arguments) {
      op.operands.push_back(from);
      argument(kind, offset, name, kind == OpKind::Carry ? from->type : sliceType(from->type));
      ++count;
    }
    return count;
  };
  if (lexer_.take("carry")) {
    op.carryCount = list(OpKind::Carry);
  }
  if (lexer_.take("slice")) {
    op.sliceCount = list(OpKind::Slice);
  }
}

/// Ends that the text leaves out, the types of the results, and the captured operands.
void Parser::finishParsedScan(Op& op, size_t offset) {
  if (lexer_.failed()) {
    return;
  }
  std::vector<Op*>& body = op.body_block->ops;
  auto endsWith = [&](OpKind kind, size_t before) {
    return body.size() > before && body[body.size() - 1 - before]->kind == kind;
  };
  if (!endsWith(OpKind::Emit, 0)) {
    body.push_back(function_->createOp(OpKind::Emit, {}, {}, {}));
  }
  if (!endsWith(OpKind::Next, 1)) {
    body.insert(body.end() - 1, function_->createOp(OpKind::Next, {}, {}, {}));
  }
  std::vector<TensorType> types;
  for (const Value* v : emitsOf(op)) {
    types.push_back(stackedType(op.dims[0].extent, v->type));
  }
  for (size_t i = 0; i < op.carryCount; ++i) {
    types.push_back(op.operands[i]->type);
  }
  if (types.size() != op.results.size()) {
    lexer_.failAt(offset, "the scan has " + std::to_string(types.size()) + " results, here are names for " +
                              std::to_string(op.results.size()));
    return;
  }
  for (size_t i = 0; i < types.size(); ++i) {
    op.results[i]->type = std::move(types[i]);
  }
  std::vector<Value*> captures = capturesOf(op);
  op.operands.insert(op.operands.end(), captures.begin(), captures.end());
}

void Parser::parseGrad(Op& op) {
  op.operands = {parseValue()};
  lexer_.expect("wrt");
  for (Value* v : parseValuesInBrackets()) {
    op.operands.push_back(v);
  }
  parseResultTypes(op);
}

void Parser::parseLocation(Op& op) {
  if (!lexer_.take("loc")) {
    return;
  }
  lexer_.expect("(");
  std::string file = lexer_.string("a file name").value_or("");
  auto found = std::ranges::find(module_->files, file);
  op.loc.file = static_cast<uint32_t>(found - module_->files.begin());
  if (found == module_->files.end()) {
    module_->files.push_back(file);
  }
  auto number = [&] {
    lexer_.expect(":");
    int64_t n = lexer_.integer("a line or column").value_or(0);
    return static_cast<uint32_t>(std::min<int64_t>(n, std::numeric_limits<uint32_t>::max()));
  };
  op.loc.line = number();
  op.loc.column = number();
  lexer_.expect(")");
}

Result<std::unique_ptr<Module>> parseModule(std::string_view text, std::string_view fileName) {
  if (text.size() > maxTextBytes) {
    return Error{"the text is longer than " + std::to_string(maxTextBytes) + " bytes", std::string(fileName)};
  }
  return Parser(text, fileName).run();
}

} // namespace dnn::graph
