// The AST of one .dnn file: what was written, nothing more. Owned by unique_ptr from the File down; made only by
// compiler/frontend, read by compiler/sema.
#pragma once

#include "compiler/ast/expr.h"
#include "compiler/ast/stmt.h"

namespace dnn::ast {

/// name: kind = default. Kinds (int, float, bool, str, fn, layer, sched) are names to the parser.
struct StaticDecl {
  Name name;
  Name kind;
  ExprPtr value; // may be null
};
/// where Ho = (H - k) / stride + 1
struct WhereDim {
  Name name;
  ExprPtr value;
};

/// What fn, layer and optimizer have in common: name(statics)(params) -> result where …
struct Signature {
  Name name;
  bool hasStatics = false; // false: written with one list only, which is the params
  std::vector<StaticDecl> statics;
  std::vector<ParamDecl> params;
  TypePtr result;
  std::vector<WhereDim> wheres;
};

/// vjp (dy, …) { return dx, … }
struct VjpRule {
  SourceRange range;
  std::vector<Name> params;
  Block body;
};

/// fn f(…)(…) -> T { … } or = e. `= e` becomes a body with one Return.
struct FnDecl {
  Signature signature;
  Block body;
  std::optional<VjpRule> vjp;
};
struct LayerDecl {
  Signature signature;
  Block body;
};
struct OptimizerDecl {
  Signature signature;
  Block body;
};
struct ConstDecl {
  Name name;
  ExprPtr value;
};
struct ImportDecl {
  SourceRange pathRange;
  std::string path;
};
struct TrainDecl {
  Name name;
  Block body;
};

struct Decl {
  SourceRange range;
  std::variant<ImportDecl, ConstDecl, FnDecl, LayerDecl, OptimizerDecl, TrainDecl> node;
};

struct File {
  diag::FileId id;
  std::vector<std::unique_ptr<Decl>> decls;
};

/// Deterministic text for `dnnc emit ast`: a tree of two-space indents, one node a line, expressions fully
/// parenthesised.
std::string print(const File& file);
/// An expression on one line, with the parentheses that precedence needs: `(a + b) * c`. For messages.
std::string print(const Expr& e);
std::string print(const Type& t);

} // namespace dnn::ast
