// Expressions and types, as written. Every node and every name has its place in the source. Include ast.h: a Scan holds
// statements.
#pragma once

#include "compiler/diag/source.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace dnn::ast {

using diag::SourceRange;

struct Expr;
struct Type;
struct Block;
using ExprPtr = std::unique_ptr<Expr>;
using TypePtr = std::unique_ptr<Type>;

struct Name {
  std::string text;
  SourceRange range;
};

// --- Expressions ---

struct IntLiteral { // 10; never negative, `-10` is a Unary
  int64_t value = 0;
};
struct FloatLiteral { // 1e-3, 0.5
  double value = 0;
};
struct BoolLiteral { // true, false
  bool value = false;
};
struct StringLiteral { // "a\n": the value, escapes resolved
  std::string value;
};
/// x
struct NameRef {
  Name name;
};
/// *B, where B is a pack of indices or dimensions. Stands only in subscripts (`x[*b, k]`) and in the dimensions of
/// types.
struct PackRef {
  Name name;
};
/// base.name; in a target of `minimize` the name may be kAnyNames.
inline constexpr std::string_view kAnyNames = "*";
struct Member {
  ExprPtr base;
  Name name;
};
/// `value`, or `name = value`. Positional arguments come first.
struct Arg {
  std::optional<Name> name;
  ExprPtr value;
};
/// callee(args)
struct Call {
  ExprPtr callee;
  std::vector<Arg> args;
};
/// base[items; fill]. Items are expressions or PackRefs. Also `zeros[N, 4]`: what base is decides what it means.
struct Subscript {
  ExprPtr base;
  std::vector<ExprPtr> items;
  ExprPtr fill; // may be null
};

enum class UnaryOp : uint8_t { Neg, Not };
struct Unary {
  UnaryOp op = UnaryOp::Neg;
  ExprPtr operand;
};

enum class BinaryOp : uint8_t { Add, Sub, Mul, Div, Mod, Eq, Ne, Lt, Le, Gt, Ge, And, Or };
struct Binary {
  BinaryOp op = BinaryOp::Add;
  SourceRange opRange;
  ExprPtr left;
  ExprPtr right;
};

/// if condition then whenTrue else whenFalse
struct If {
  ExprPtr condition;
  ExprPtr whenTrue;
  ExprPtr whenFalse;
};

/// An index that a `let` or a reduction binds: `i`, `i: extent`, `*b`, `*b: B` with the name of a pack of dimensions.
struct IndexBinder {
  bool pack = false;
  Name name;
  ExprPtr extent; // null: inferred from bare subscripts
};

enum class ReduceKind : uint8_t { Sum, Prod, Max, Min, Mean, ArgMax, ArgMin, Any, All };
/// sum[i, j: n | guard] body
struct Reduce {
  ReduceKind kind = ReduceKind::Sum;
  SourceRange head; // `sum[i, j: n | guard]`
  std::vector<IndexBinder> indices;
  ExprPtr guard; // may be null
  ExprPtr body;
};

/// sum[p in net] body: over the parameters of an instance.
struct Fold {
  ReduceKind kind = ReduceKind::Sum;
  SourceRange head; // `sum[p in net]`
  Name parameter;
  ExprPtr over;
  ExprPtr body;
};

/// One carry of a scan: `h = value`, or `h: type = value` with the value of each element.
struct Carry {
  Name name;
  TypePtr type; // may be null
  ExprPtr value;
};
/// scan index: extent reverse save every k with h = a, c: f32[N] = 0 { … }
struct Scan {
  Name index;
  ExprPtr extent;
  bool reverse = false; // from the last index down
  ExprPtr saveEvery;    // may be null
  std::vector<Carry> carries;
  std::unique_ptr<Block> body;
};

/// [a, b, c]
struct List {
  std::vector<ExprPtr> items;
};
/// (a, b): at least two
struct Tuple {
  std::vector<ExprPtr> items;
};
/// from .. to, both ends included: "p0".."p63" in the arguments of data sources
struct Range {
  ExprPtr from;
  ExprPtr to;
};

struct Expr {
  using Node = std::variant<IntLiteral, FloatLiteral, BoolLiteral, StringLiteral, NameRef, PackRef, Member, Call,
                            Subscript, Unary, Binary, If, Reduce, Fold, Scan, List, Tuple, Range>;
  SourceRange range; // with the parentheses around it, if any
  Node node;
  /// Levels of expressions below this one; the parser bounds it (kMaxHeight), so recursion over an AST is safe.
  uint32_t height = 0;
};

/// No expression is higher than this: neither deep nesting nor a long chain of operators can exhaust the stack.
constexpr uint32_t kMaxHeight = 1000;

template <class T> const T* getIf(const Expr& e) { return std::get_if<T>(&e.node); }

std::string_view spelling(UnaryOp op);
std::string_view spelling(BinaryOp op);
std::string_view spelling(ReduceKind kind);

// --- Types ---

/// f32, f32[N, *B, 2*K], i32[N] < V. Dimensions are expressions or PackRefs.
struct TensorType {
  Name dtype; // any name: which ones are element types is not the parser's business
  std::vector<ExprPtr> dims;
  ExprPtr bound; // values are 0 ≤ v < bound; may be null
};
/// (f32[N], f32[N, 2])
struct TupleType {
  std::vector<TypePtr> items;
};
struct Type {
  SourceRange range;
  std::variant<TensorType, TupleType> node;
};

} // namespace dnn::ast
