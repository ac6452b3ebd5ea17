// Parse tree to AST, with the checks that a grammar of one-token decisions leaves over: precedence, the place of each
// statement, named arguments, static parameters against parameters.
#pragma once

#include "compiler/ast/ast.h"
#include "compiler/frontend/tokens.h"
#include "compiler/support/assert.h"

#include "DnnParser.h"

namespace dnn::frontend {

class AstBuilder {
public:
  AstBuilder(diag::FileId file, const Offsets& offsets, diag::Diagnostics& diags)
      : file_(file), offsets_(offsets), diags_(diags) {}

  /// The tree must be free of syntax errors. The result is of use only if nothing was reported.
  std::unique_ptr<ast::File> file(syntax::DnnParser::FileContext& ctx);

private:
  using P = syntax::DnnParser;

  // build_decl.cpp
  std::unique_ptr<ast::Decl> decl(P::DeclContext& ctx);
  ast::FnDecl fn(P::FnDeclContext& ctx);
  ast::Signature signature(P::NameContext& name, P::SignatureContext& ctx);
  std::vector<ast::StaticDecl> statics(P::DeclListContext& ctx);
  std::vector<ast::ParamDecl> params(P::DeclListContext& ctx);
  ast::TypePtr type(P::TypeContext& ctx);

  // build_stmt.cpp
  ast::Block block(P::BlockContext& ctx, ast::Context context);
  ast::StmtPtr stmt(P::StmtContext& ctx);
  ast::Let let(P::LetStmtContext& ctx);
  ast::When when(P::WhenStmtContext& ctx);
  template <class T, class Ctx> T typed(Ctx& ctx);
  ast::Require require(P::RequireStmtContext& ctx);
  ast::Return returned(P::ReturnStmtContext& ctx);
  void checkPlace(P::StmtContext& ctx);

  // build_program.cpp
  ast::Data data(P::DataStmtContext& ctx);
  ast::TableSource table(P::TableSourceContext& ctx);
  ast::GenerateSource generate(P::GenerateSourceContext& ctx);
  ast::Step step(P::StepStmtContext& ctx);
  ast::Eval eval(P::EvalStmtContext& ctx);
  ast::Predict predict(P::PredictStmtContext& ctx);
  ast::Init init(P::InitStmtContext& ctx);
  ast::Sweep sweep(P::SweepStmtContext& ctx);
  ast::Minimize minimize(P::MinimizeStmtContext& ctx);
  ast::Log log(P::LogStmtContext& ctx);
  ast::Run run(P::RunStmtContext& ctx);
  ast::Checkpoint checkpoint(P::CheckpointStmtContext& ctx);
  ast::Every every(P::EveryContext& ctx);
  ast::ExprPtr path(antlr4::ParserRuleContext& ctx);
  std::vector<ast::ExprPtr> targets(P::TargetsContext& ctx);

  // build_expr.cpp
  class Chain;
  ast::ExprPtr expr(P::ExprContext& ctx);
  ast::ExprPtr arithmetic(P::ArithmeticContext& ctx);
  std::vector<ast::ExprPtr> exprs(const std::vector<P::ExprContext*>& list);
  ast::ExprPtr scan(P::ScanExprContext& ctx);
  ast::ExprPtr atom(P::AtomContext& ctx);
  ast::ExprPtr number(antlr4::Token& token);
  ast::ExprPtr element(P::ElementContext& ctx);
  ast::ExprPtr item(P::ItemContext& ctx);
  ast::ExprPtr suffixed(ast::ExprPtr base, P::SuffixContext& ctx);
  ast::ExprPtr called(ast::ExprPtr base, P::CallContext& ctx);
  ast::ExprPtr subscripted(ast::ExprPtr base, P::SubscriptContext& ctx);
  std::vector<ast::Arg> args(const std::vector<P::ArgContext*>& list);
  std::vector<ast::ExprPtr> items(const std::vector<P::ItemContext*>& list);
  std::vector<ast::IndexBinder> binders(const std::vector<P::BinderContext*>& list);
  std::vector<ast::Arg> assignments(const std::vector<P::AssignmentContext*>& list);
  /// A node at `range`. Its height follows from its children; one that would be too high is reported and replaced.
  ast::ExprPtr make(diag::SourceRange range, ast::Expr::Node node);

  // names, strings, places
  ast::Name name(antlr4::ParserRuleContext& ctx);
  std::vector<ast::Name> names(P::FieldsContext& ctx);
  std::string string(antlr4::Token& token);
  diag::SourceRange rangeOf(antlr4::ParserRuleContext& ctx);
  diag::SourceRange rangeOf(antlr4::Token& token) { return frontend::rangeOf(file_, offsets_, token); }

  diag::FileId file_;
  const Offsets& offsets_;
  diag::Diagnostics& diags_;
  ast::Context context_ = ast::Context::Fn;
  /// The height of the highest expression made since it was last reset: what a scan takes from its types and its body.
  uint32_t highest_ = 0;
  bool tooHighReported_ = false;
};

} // namespace dnn::frontend
