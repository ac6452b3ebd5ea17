#include "compiler/graph/parser.h"

#include "compiler/graph/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace dnn::graph {

namespace {

bool fitsIn(DType dtype, int64_t value) {
  switch (dtype) {
  case DType::I32: return value >= std::numeric_limits<int32_t>::min() && value <= std::numeric_limits<int32_t>::max();
  case DType::U32: return value >= 0 && value <= std::numeric_limits<uint32_t>::max();
  case DType::U8: return value >= 0 && value <= std::numeric_limits<uint8_t>::max();
  case DType::I64: return true;
  case DType::Bool: return value == 0 || value == 1;
  case DType::F32:
  case DType::F64:
  case DType::BF16:
  case DType::F16: return true;
  }
  return false;
}

struct DepthGuard {
  explicit DepthGuard(int& depth) : depth(++depth) {}
  ~DepthGuard() { --depth; }
  int& depth;
};

} // namespace

void Parser::parseShared(Op& op) {
  while (lexer_.take("let")) {
    lexer_.expect("$");
    size_t offset = lexer_.at().offset;
    auto number = static_cast<size_t>(lexer_.integer("the number of a shared expression").value_or(0));
    if (number != shared_.size()) {
      lexer_.failAt(offset, "shared expressions are numbered in order; this is $" + std::to_string(shared_.size()));
    }
    lexer_.expect("=");
    shared_.push_back(parseSum(op));
    lexer_.expect(";");
  }
}

ExprRef Parser::parseSum(Op& op) {
  DepthGuard guard(depth_);
  if (depth_ > maxExprHeight) {
    lexer_.fail("the expression is nested more than " + std::to_string(maxExprHeight) + " deep");
    return nothing();
  }
  ExprRef left = parseProduct(op);
  while (lexer_.isAt("+") || lexer_.isAt("-")) {
    size_t offset = lexer_.at().offset;
    ScalarOp scalarOp = lexer_.isAt("+") ? ScalarOp::Add : ScalarOp::Sub;
    lexer_.advance();
    ExprRef right = parseProduct(op);
    left = applyOrFail(scalarOp, {left, right}, offset);
  }
  return left;
}

ExprRef Parser::parseProduct(Op& op) {
  ExprRef left = parsePrimary(op);
  while (lexer_.isAt("*") || lexer_.isAt("/") || lexer_.isAt("%")) {
    size_t offset = lexer_.at().offset;
    ScalarOp scalarOp = lexer_.isAt("*") ? ScalarOp::Mul : lexer_.isAt("/") ? ScalarOp::Div : ScalarOp::Mod;
    lexer_.advance();
    ExprRef right = parsePrimary(op);
    left = applyOrFail(scalarOp, {left, right}, offset);
  }
  return left;
}

ExprRef Parser::parsePrimary(Op& op) {
  if (lexer_.take("(")) {
    ExprRef e = parseSum(op);
    lexer_.expect(")");
    return e;
  }
  if (lexer_.isAt("%")) {
    return parseAccess(op);
  }
  if (lexer_.take("-")) {
    return parseNumber(true);
  }
  if (lexer_.isAt("$")) {
    size_t offset = lexer_.at().offset;
    lexer_.advance();
    auto number = static_cast<size_t>(lexer_.integer("the number of a shared expression").value_or(0));
    if (number >= shared_.size()) {
      lexer_.failAt(offset, "there is no shared expression $" + std::to_string(number) + " yet");
      return nothing();
    }
    return shared_[number];
  }
  if (lexer_.at().kind == Token::Kind::Number || isNumberWord(lexer_.at().text)) {
    return parseNumber(false);
  }
  size_t offset = lexer_.at().offset;
  std::optional<std::string> name = lexer_.identifier("an expression");
  if (!name) {
    return nothing();
  }
  if (lexer_.take("(")) {
    ExprRef call = parseCall(op, *name, offset);
    lexer_.expect(")");
    return call;
  }
  auto found = std::ranges::find(indices_, *name);
  if (found == indices_.end()) {
    lexer_.failAt(offset, "there is no index `" + *name + "` here");
    return nothing();
  }
  return module_->exprs.index(static_cast<uint32_t>(found - indices_.begin()));
}

ExprRef Parser::parseNumber(bool negative) {
  size_t offset = lexer_.at().offset;
  std::string text(lexer_.at().text);
  lexer_.advance();
  if (text == "true" || text == "false") {
    if (negative) {
      lexer_.failAt(offset, "a bool has no sign");
    }
    return module_->exprs.boolean(text == "true");
  }
  DType dtype = DType::I32;
  bool typed = false;
  for (DType t : {DType::BF16, DType::F16, DType::F32, DType::F64, DType::I32, DType::I64, DType::U8, DType::U32}) {
    if (text.ends_with(nameOf(t))) {
      dtype = t;
      typed = true;
      text.resize(text.size() - nameOf(t).size());
      break;
    }
  }
  double sign = negative ? -1 : 1;
  if (text == "inf" || text == "nan") {
    double special = text == "inf" ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
    return module_->exprs.number(sign * special, typed && isFloat(dtype) ? dtype : DType::F32);
  }
  if (!typed && text.find_first_of(".e") != std::string::npos) {
    dtype = DType::F32;
  }
  if (isFloat(dtype)) {
    // Read in its own type: the shortest text of an f32 may lie closer to another f32 after a detour over f64.
    double value = 0;
    float single = 0;
    const char* end = text.data() + text.size();
    auto [stop, code] =
        dtype == DType::F64 ? std::from_chars(text.data(), end, value) : std::from_chars(text.data(), end, single);
    if (code != std::errc() || stop != end) {
      lexer_.failAt(offset, "not a number of type " + std::string(nameOf(dtype)));
    }
    return module_->exprs.number(sign * (dtype == DType::F64 ? value : static_cast<double>(single)), dtype);
  }
  uint64_t magnitude = 0;
  const char* end = text.data() + text.size();
  auto [stop, code] = std::from_chars(text.data(), end, magnitude);
  uint64_t limit = uint64_t(1) << 63;
  int64_t value = static_cast<int64_t>(negative ? -magnitude : magnitude);
  bool inRange = negative ? magnitude <= limit : magnitude < limit;
  if (code != std::errc() || stop != end || !inRange || !fitsIn(dtype, value)) {
    lexer_.failAt(offset, "not a number of type " + std::string(nameOf(dtype)));
    return nothing();
  }
  return module_->exprs.integer(value, dtype);
}

ExprRef Parser::parseCall(Op& op, const std::string& name, size_t offset) {
  if (name == "extent") {
    return module_->exprs.extent(parseDim());
  }
  if (std::optional<DType> dtype = findDType(name)) {
    return module_->exprs.cast(*dtype, parseSum(op));
  }
  for (Distribution d : {Distribution::Uniform, Distribution::Normal}) {
    if (name == nameOf(d)) {
      return parseDraw(op, d);
    }
  }
  std::optional<ScalarOp> scalarOp = findScalarOp(name);
  if (!scalarOp) {
    lexer_.failAt(offset, "there is no operator `" + name + "`");
    return nothing();
  }
  std::vector<ExprRef> args;
  do {
    args.push_back(parseSum(op));
  } while (lexer_.take(","));
  return applyOrFail(*scalarOp, std::move(args), offset);
}

ExprRef Parser::parseDraw(Op& op, Distribution distribution) {
  size_t offset = lexer_.at().offset;
  lexer_.expect("site");
  int64_t site = lexer_.integer("the number of the site").value_or(0);
  if (site > std::numeric_limits<uint32_t>::max()) {
    lexer_.failAt(offset, "the number of a site has 32 bits");
  }
  lexer_.expect(";");
  ExprRef lo = parseSubscript(op);
  lexer_.expect(",");
  ExprRef hi = parseSubscript(op);
  return module_->exprs.draw(distribution, static_cast<uint32_t>(site), lo, hi);
}

ExprRef Parser::parseAccess(Op& op) {
  Value* value = parseValue();
  if (value == nullptr) {
    return nothing();
  }
  auto found = std::ranges::find(op.operands, value);
  uint32_t operand = static_cast<uint32_t>(found - op.operands.begin());
  if (found == op.operands.end()) {
    op.operands.push_back(value);
  }
  lexer_.expect("[");
  std::vector<ExprRef> subscripts;
  std::optional<double> fill;
  if (!lexer_.isAt("]")) {
    do {
      subscripts.push_back(parseSubscript(op));
    } while (lexer_.take(","));
    if (lexer_.take(";")) {
      fill = parseFill(value->type.dtype);
    }
  }
  lexer_.expect("]");
  return module_->exprs.access(operand, value->type.dtype, std::move(subscripts), fill);
}

double Parser::parseFill(DType dtype) {
  size_t offset = lexer_.at().offset;
  bool negative = lexer_.take("-");
  if (lexer_.at().kind != Token::Kind::Number && !isNumberWord(lexer_.at().text)) {
    lexer_.fail("expected the fill value, a number, found " + lexer_.found());
    return 0;
  }
  ExprRef number = parseNumber(negative);
  double value = isFloat(number->dtype) ? number->number : static_cast<double>(number->integer);
  if (isFloat(dtype) ? number->dtype == DType::Bool : isFloat(number->dtype) || !fitsIn(dtype, number->integer)) {
    lexer_.failAt(offset, "the fill value does not fit the tensor's type, " + std::string(nameOf(dtype)));
  }
  return value;
}

ExprRef Parser::applyOrFail(ScalarOp scalarOp, std::vector<ExprRef> args, size_t offset) {
  if (lexer_.failed()) {
    return nothing();
  }
  if (resultType(scalarOp, args)) {
    return module_->exprs.apply(scalarOp, std::move(args));
  }
  std::string given;
  for (ExprRef arg : args) {
    given += (given.empty() ? "" : ", ") + std::string(nameOf(arg->dtype));
  }
  lexer_.failAt(offset, "`" + std::string(infoOf(scalarOp).spelling) + "` does not take operands of types " + given);
  return nothing();
}

} // namespace dnn::graph
