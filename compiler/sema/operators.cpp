// Operators: on what is known now they compute, on tensors they make element expressions.
#include "compiler/sema/instantiator.h"
#include "compiler/sema/ranges.h"
#include "compiler/support/assert.h"

#include <cmath>
#include <limits>

namespace dnn::sema {

namespace {

ScalarOp scalarOp(ast::BinaryOp op) {
  switch (op) {
  case ast::BinaryOp::Add: return ScalarOp::Add;
  case ast::BinaryOp::Sub: return ScalarOp::Sub;
  case ast::BinaryOp::Mul: return ScalarOp::Mul;
  case ast::BinaryOp::Div: return ScalarOp::Div;
  case ast::BinaryOp::Mod: return ScalarOp::Mod;
  case ast::BinaryOp::Eq: return ScalarOp::Eq;
  case ast::BinaryOp::Ne: return ScalarOp::Ne;
  case ast::BinaryOp::Lt: return ScalarOp::Lt;
  case ast::BinaryOp::Le: return ScalarOp::Le;
  case ast::BinaryOp::Gt: return ScalarOp::Gt;
  case ast::BinaryOp::Ge: return ScalarOp::Ge;
  case ast::BinaryOp::And: return ScalarOp::And;
  case ast::BinaryOp::Or: return ScalarOp::Or;
  }
  DNN_UNREACHABLE("every operator has its scalar operator");
}

bool isLogical(ast::BinaryOp op) { return op == ast::BinaryOp::And || op == ast::BinaryOp::Or; }

/// Operators under which literals stay literals: their value is the same in every numeric type.
bool keepsLiterals(ScalarOp op) {
  return op == ScalarOp::Add || op == ScalarOp::Sub || op == ScalarOp::Mul || op == ScalarOp::Neg ||
         op == ScalarOp::Min || op == ScalarOp::Max || op == ScalarOp::Select;
}

template <class T> bool compare(ast::BinaryOp op, const T& a, const T& b) {
  switch (op) {
  case ast::BinaryOp::Eq: return a == b;
  case ast::BinaryOp::Ne: return a != b;
  case ast::BinaryOp::Lt: return a < b;
  case ast::BinaryOp::Le: return a <= b;
  case ast::BinaryOp::Gt: return a > b;
  case ast::BinaryOp::Ge: return a >= b;
  case ast::BinaryOp::Add:
  case ast::BinaryOp::Sub:
  case ast::BinaryOp::Mul:
  case ast::BinaryOp::Div:
  case ast::BinaryOp::Mod:
  case ast::BinaryOp::And:
  case ast::BinaryOp::Or: break;
  }
  DNN_UNREACHABLE("only comparisons compare");
}

bool isComparison(ast::BinaryOp op) {
  return op == ast::BinaryOp::Eq || op == ast::BinaryOp::Ne || op == ast::BinaryOp::Lt || op == ast::BinaryOp::Le ||
         op == ast::BinaryOp::Gt || op == ast::BinaryOp::Ge;
}

std::optional<int64_t> intArithmetic(ast::BinaryOp op, int64_t a, int64_t b) {
  int64_t out = 0;
  switch (op) {
  case ast::BinaryOp::Add: return __builtin_add_overflow(a, b, &out) ? std::nullopt : std::optional(out);
  case ast::BinaryOp::Sub: return __builtin_sub_overflow(a, b, &out) ? std::nullopt : std::optional(out);
  case ast::BinaryOp::Mul: return __builtin_mul_overflow(a, b, &out) ? std::nullopt : std::optional(out);
  case ast::BinaryOp::Div:
  case ast::BinaryOp::Mod: {
    if (a == std::numeric_limits<int64_t>::min() && b == -1) {
      return std::nullopt;
    }
    int64_t quotient = a / b - ((a % b != 0) && ((a < 0) != (b < 0)));
    return op == ast::BinaryOp::Div ? quotient : a - quotient * b;
  }
  case ast::BinaryOp::Eq:
  case ast::BinaryOp::Ne:
  case ast::BinaryOp::Lt:
  case ast::BinaryOp::Le:
  case ast::BinaryOp::Gt:
  case ast::BinaryOp::Ge:
  case ast::BinaryOp::And:
  case ast::BinaryOp::Or: break;
  }
  DNN_UNREACHABLE("only arithmetic computes");
}

double floatArithmetic(ast::BinaryOp op, double a, double b) {
  switch (op) {
  case ast::BinaryOp::Add: return a + b;
  case ast::BinaryOp::Sub: return a - b;
  case ast::BinaryOp::Mul: return a * b;
  case ast::BinaryOp::Div: return a / b;
  case ast::BinaryOp::Mod: return a - std::floor(a / b) * b;
  case ast::BinaryOp::Eq:
  case ast::BinaryOp::Ne:
  case ast::BinaryOp::Lt:
  case ast::BinaryOp::Le:
  case ast::BinaryOp::Gt:
  case ast::BinaryOp::Ge:
  case ast::BinaryOp::And:
  case ast::BinaryOp::Or: break;
  }
  DNN_UNREACHABLE("only arithmetic computes");
}

std::optional<double> asNumber(const Value& v) {
  if (auto* n = v.as<StaticInt>(); n && n->value.isStatic()) {
    return static_cast<double>(n->value.constant());
  }
  auto* f = v.as<StaticFloat>();
  return f ? std::optional(f->value) : std::nullopt;
}

} // namespace

bool Instantiator::convertTo(Tensor& t, DType to) {
  if (t.type.dtype == to) {
    t.weak = false;
    return true;
  }
  if (isStorageOnly(t.type.dtype) && to == DType::F32) {
    t = widened(t, SourceRange{});
    return true;
  }
  // A literal takes any type that holds it; a float literal is no integer.
  if (!t.weak || to == DType::Bool || !literalsFit(t.body, to)) {
    return false;
  }
  t.body = convertLiterals(t.body, to);
  t.type.dtype = to;
  t.weak = false;
  return true;
}

bool Instantiator::storeAs(Tensor& t, DType to, SourceRange range) {
  if (!isStorageOnly(to) || t.type.dtype == to) {
    return convertTo(t, to);
  }
  if (!convertTo(t, DType::F32)) {
    return false;
  }
  t = *callCast(to, t, range, range).as<Tensor>();
  return true;
}

bool Instantiator::unifyTypes(std::vector<Tensor>& args, const std::vector<SourceRange>& ranges, std::string_view what,
                              SourceRange range) {
  for (size_t i = 0; i < args.size(); ++i) {
    args[i] = widened(args[i], ranges[i]);
  }
  // The type of the first operand that is no literal; among literals a float wins.
  std::optional<DType> type;
  size_t from = 0;
  bool allWeak = true;
  for (size_t i = 0; i < args.size(); ++i) {
    if (!args[i].weak && (allWeak || !type)) {
      type = args[i].type.dtype;
      from = i;
      allWeak = false;
    } else if (allWeak && (!type || isFloat(args[i].type.dtype))) {
      type = args[i].type.dtype;
    }
  }
  for (size_t i = 0; i < args.size(); ++i) {
    if (allWeak) {
      args[i].body = convertLiterals(args[i].body, *type);
      args[i].type.dtype = *type;
    } else if (!convertTo(args[i], *type)) {
      auto report = error<DiagId::element_type_mismatch>(range, what, nameOf(*type), nameOf(args[i].type.dtype));
      report.note(ranges[from], "this is " + str(args[from].type));
      report.note(ranges[i], "this is " + str(args[i].type));
      if (isFloat(*type) != isFloat(args[i].type.dtype)) {
        report.hint("convert with `float(…)`");
      }
      return false;
    }
  }
  return true;
}

Value Instantiator::pointwise(const std::vector<Tensor>& args, const std::vector<SourceRange>& ranges,
                              std::string_view what, SourceRange range,
                              const std::function<ScalarPtr(std::vector<ScalarPtr>)>& make) {
  const Tensor* shaped = nullptr;
  SourceRange shapedRange;
  for (size_t i = 0; i < args.size(); ++i) {
    const Tensor& t = args[i];
    if (t.type.isScalar()) {
      continue;
    }
    if (!shaped) {
      shaped = &t;
      shapedRange = ranges[i];
    } else if (shaped->type.dims != t.type.dims) {
      error<DiagId::shape_mismatch>(range, what, str(shaped->type), str(t.type))
          .note(shapedRange, "this is " + str(shaped->type))
          .note(ranges[i], "this is " + str(t.type))
          .hint("there is no implicit broadcast; write the indices: `let y[i, j] = …`");
      return Poison{};
    }
  }
  if (!shaped) {
    std::vector<ScalarPtr> elements;
    for (size_t i = 0; i < args.size(); ++i) {
      elements.push_back(element(args[i], {}, ranges[i]));
    }
    return scalar(make(std::move(elements)));
  }
  std::vector<IndexId> indices = freshIndices(shaped->type.dims, range);
  std::vector<ScalarPtr> subscripts;
  for (IndexId index : indices) {
    subscripts.push_back(makeIndex(index, range));
  }
  std::vector<ScalarPtr> elements;
  for (size_t i = 0; i < args.size(); ++i) {
    elements.push_back(element(args[i], args[i].type.isScalar() ? std::vector<ScalarPtr>{} : subscripts, ranges[i]));
  }
  Tensor out = scalar(make(std::move(elements)));
  out.type.dims = shaped->type.dims;
  out.indices = std::move(indices);
  return out;
}

Value Instantiator::applyOp(ScalarOp op, std::vector<Tensor> args, const std::vector<SourceRange>& ranges,
                            SourceRange range) {
  const ScalarOpInfo& info = infoOf(op);
  std::string what = "`" + std::string(info.spelling) + "`";
  for (ast::BinaryOp b : {ast::BinaryOp::Add, ast::BinaryOp::Sub, ast::BinaryOp::Mul, ast::BinaryOp::Div,
                          ast::BinaryOp::Mod, ast::BinaryOp::Eq, ast::BinaryOp::Ne, ast::BinaryOp::Lt,
                          ast::BinaryOp::Le, ast::BinaryOp::Gt, ast::BinaryOp::Ge}) {
    if (scalarOp(b) == op) {
      what = "`" + std::string(ast::spelling(b)) + "`";
    }
  }
  bool weak = keepsLiterals(op);
  for (const Tensor& t : args) {
    weak &= t.weak;
  }
  if (info.result == ScalarResult::Float) {
    for (Tensor& t : args) {
      if (t.weak && !isFloat(t.type.dtype) && args.size() == 1) {
        convertTo(t, DType::F32);
      }
    }
  }
  if (!unifyTypes(args, ranges, what, range)) {
    return Poison{};
  }
  DType type = args[0].type.dtype;
  bool logical = op == ScalarOp::And || op == ScalarOp::Or || op == ScalarOp::Not;
  bool fits = true;
  std::string_view wanted;
  switch (info.result) {
  case ScalarResult::Same: fits = type != DType::Bool, wanted = "numeric"; break;
  case ScalarResult::Float: fits = isFloat(type), wanted = "float"; break;
  case ScalarResult::Int: fits = isInteger(type), wanted = "integer"; break;
  case ScalarResult::Bool: fits = !logical || type == DType::Bool, wanted = "bool"; break;
  }
  if (!fits) {
    auto report = error<DiagId::wrong_element_type>(range, what, wanted, nameOf(type));
    if (info.result == ScalarResult::Float) {
      report.hint("convert with `float(…)`");
    }
    return Poison{};
  }
  if (isInteger(type) && (op == ScalarOp::Div || op == ScalarOp::Mod)) {
    // Floor division is defined for positive divisors only.
    std::optional<Dim> least = args[1].var ? std::nullopt : intervalOf(args[1].body, *out_).lo;
    if (!least || !provedAtMost(Dim(1), *least, out_->symbols())) {
      error<DiagId::divisor_not_positive>(ranges[1], what);
      return Poison{};
    }
  }
  Value out = pointwise(args, ranges, what, range,
                        [&](std::vector<ScalarPtr> elements) { return makeApply(op, std::move(elements), range); });
  if (weak && out.as<Tensor>()) {
    Tensor t = *out.as<Tensor>();
    t.weak = true;
    return t;
  }
  return out;
}

Value Instantiator::staticBinary(ast::BinaryOp op, const Value& a, const Value& b, SourceRange range) {
  if (isLogical(op)) {
    return Value(); // of bools alone, which are decided before
  }
  auto* ia = a.as<StaticInt>();
  auto* ib = b.as<StaticInt>();
  if (ia && ib) {
    const Dim& x = ia->value;
    const Dim& y = ib->value;
    if (x.isStatic() && y.isStatic()) {
      if (isComparison(op)) {
        return StaticBool{compare(op, x.constant(), y.constant())};
      }
      if ((op == ast::BinaryOp::Div || op == ast::BinaryOp::Mod) && y.constant() == 0) {
        error<DiagId::division_by_zero>(range);
        return Poison{};
      }
      std::optional<int64_t> n = intArithmetic(op, x.constant(), y.constant());
      if (!n) {
        error<DiagId::integer_overflow>(range);
        return Poison{};
      }
      return StaticInt{Dim(*n)};
    }
    // Linear forms stay static; equality of forms is equality for every batch.
    if (op == ast::BinaryOp::Add || op == ast::BinaryOp::Sub) {
      return StaticInt{op == ast::BinaryOp::Add ? x + y : x - y};
    }
    if (op == ast::BinaryOp::Mul && (x.isStatic() || y.isStatic())) {
      return StaticInt{x.isStatic() ? y * x.constant() : x * y.constant()};
    }
    if (isComparison(op)) {
      Dim difference = x - y;
      int64_t lo = difference.min(out_->symbols());
      int64_t hi = difference.max(out_->symbols());
      // The orders are monotone in the difference: equal answers at both ends decide. Equality is decided away from 0.
      bool ordered = op != ast::BinaryOp::Eq && op != ast::BinaryOp::Ne;
      bool same = compare(op, lo, int64_t{0}) == compare(op, hi, int64_t{0});
      if (lo == hi || (ordered && same) || (!ordered && (lo > 0 || hi < 0))) {
        return StaticBool{compare(op, lo, int64_t{0})};
      }
    }
    return Value(); // of run time
  }
  std::optional<double> x = asNumber(a);
  std::optional<double> y = asNumber(b);
  if (x && y) {
    return isComparison(op) ? Value(StaticBool{compare(op, *x, *y)}) : Value(StaticFloat{floatArithmetic(op, *x, *y)});
  }
  auto* sa = a.as<StaticStr>();
  auto* sb = b.as<StaticStr>();
  if (sa && sb && isComparison(op)) {
    return StaticBool{compare(op, sa->value, sb->value)};
  }
  auto* ba = a.as<StaticBool>();
  auto* bb = b.as<StaticBool>();
  if (ba && bb && (op == ast::BinaryOp::Eq || op == ast::BinaryOp::Ne)) {
    return StaticBool{(ba->value == bb->value) == (op == ast::BinaryOp::Eq)};
  }
  return Value();
}

Value Instantiator::binaryValue(ast::BinaryOp op, const Value& a, const Value& b, SourceRange aRange,
                                SourceRange bRange, SourceRange range) {
  if (a.poisoned() || b.poisoned()) {
    return Poison{};
  }
  size_t before = diags_.errorCount();
  Value folded = staticBinary(op, a, b, range);
  if (!folded.poisoned() || diags_.errorCount() != before) {
    return folded;
  }
  std::optional<Tensor> x = toTensor(a, aRange);
  std::optional<Tensor> y = toTensor(b, bRange);
  if (!x || !y) {
    return Poison{};
  }
  return applyOp(scalarOp(op), {*x, *y}, {aRange, bRange}, range);
}

Value Instantiator::evalBinary(const ast::Expr& e, const ast::Binary& binary, Env& env) {
  // A long chain `a + b + …` leans to the left; it is walked in a loop, not by recursion.
  std::vector<const ast::Expr*> chain = {&e};
  while (true) {
    const ast::Expr* left = std::get<ast::Binary>(chain.back()->node).left.get();
    if (isLogical(std::get<ast::Binary>(chain.back()->node).op) || !ast::getIf<ast::Binary>(*left)) {
      break;
    }
    chain.push_back(left);
  }
  if (isLogical(binary.op)) {
    Value a = forced(eval(*binary.left, env), binary.left->range, env);
    bool isAnd = binary.op == ast::BinaryOp::And;
    if (auto* known = a.as<StaticBool>()) {
      // Decided now: the other side is not instantiated.
      if (known->value != isAnd) {
        return a;
      }
      Value b = forced(eval(*binary.right, env), binary.right->range, env);
      auto* t = b.as<Tensor>();
      if (!b.poisoned() && !b.as<StaticBool>() && !(t && t->type.dtype == DType::Bool)) {
        error<DiagId::wrong_element_type>(binary.right->range, "`" + std::string(ast::spelling(binary.op)) + "`",
                                          "bool", t ? std::string(nameOf(t->type.dtype)) : describe(b));
        return Poison{};
      }
      return b;
    }
    Value b = forced(eval(*binary.right, env), binary.right->range, env);
    if (auto* known = b.as<StaticBool>(); known && a.as<Tensor>()) {
      return known->value == isAnd ? a : b;
    }
    return binaryValue(binary.op, a, b, binary.left->range, binary.right->range, e.range);
  }
  const ast::Expr* first = std::get<ast::Binary>(chain.back()->node).left.get();
  Value value = forced(eval(*first, env), first->range, env);
  SourceRange leftRange = first->range;
  for (auto link = chain.rbegin(); link != chain.rend(); ++link) {
    const ast::Binary& b = std::get<ast::Binary>((*link)->node);
    Value right = forced(eval(*b.right, env), b.right->range, env);
    value = binaryValue(b.op, value, right, leftRange, b.right->range, (*link)->range);
    leftRange = (*link)->range;
  }
  return value;
}

Value Instantiator::evalUnary(const ast::Expr& e, const ast::Unary& unary, Env& env) {
  Value a = forced(eval(*unary.operand, env), unary.operand->range, env);
  if (a.poisoned()) {
    return a;
  }
  if (unary.op == ast::UnaryOp::Not) {
    if (auto* b = a.as<StaticBool>()) {
      return StaticBool{!b->value};
    }
  } else {
    if (auto* n = a.as<StaticInt>()) {
      return StaticInt{n->value * -1};
    }
    if (auto* n = a.as<StaticFloat>()) {
      return StaticFloat{-n->value};
    }
  }
  std::optional<Tensor> t = toTensor(a, unary.operand->range);
  if (!t) {
    return Poison{};
  }
  return applyOp(unary.op == ast::UnaryOp::Not ? ScalarOp::Not : ScalarOp::Neg, {*t}, {unary.operand->range}, e.range);
}

Value Instantiator::evalIf(const ast::Expr& e, const ast::If& branch, Env& env) {
  Value condition = forced(eval(*branch.condition, env), branch.condition->range, env);
  if (condition.poisoned()) {
    return condition;
  }
  if (auto* known = condition.as<StaticBool>()) {
    const ast::Expr& taken = known->value ? *branch.whenTrue : *branch.whenFalse;
    return forced(eval(taken, env), taken.range, env);
  }
  auto* test = condition.as<Tensor>();
  if (!test || test->type.dtype != DType::Bool) {
    error<DiagId::not_a_condition>(branch.condition->range, "`if`", test ? str(test->type) : describe(condition));
    return Poison{};
  }
  std::optional<Tensor> a = evalTensor(*branch.whenTrue, env);
  std::optional<Tensor> b = evalTensor(*branch.whenFalse, env);
  if (!a || !b) {
    return Poison{};
  }
  bool weak = a->weak && b->weak;
  std::vector<Tensor> sides = {*a, *b};
  if (!unifyTypes(sides, {branch.whenTrue->range, branch.whenFalse->range}, "`if`", e.range)) {
    return Poison{};
  }
  Value out =
      pointwise({*test, sides[0], sides[1]}, {branch.condition->range, branch.whenTrue->range, branch.whenFalse->range},
                "`if`", e.range, [&](std::vector<ScalarPtr> elements) {
                  return makeApply(ScalarOp::Select, std::move(elements), e.range);
                });
  if (weak && out.as<Tensor>()) {
    Tensor t = *out.as<Tensor>();
    t.weak = true;
    return t;
  }
  return out;
}

} // namespace dnn::sema
