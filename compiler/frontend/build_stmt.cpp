// Blocks and the statements of definitions; which statement may stand where.
#include "compiler/frontend/ast_builder.h"

namespace dnn::frontend {

using diag::DiagId;

namespace {

using ast::Context;
using P = syntax::DnnParser;

constexpr unsigned in(Context c) { return 1U << static_cast<unsigned>(c); }
constexpr unsigned kResults = in(Context::Fn) | in(Context::Layer) | in(Context::Optimizer) | in(Context::Vjp) |
                              in(Context::Predict) | in(Context::Generate);
constexpr unsigned kEverywhere = kResults | in(Context::Scan) | in(Context::Train) | in(Context::Phase) |
                                 in(Context::Step) | in(Context::Eval) | in(Context::Whole);
constexpr unsigned kPrograms = in(Context::Train) | in(Context::Phase);

struct Place {
  size_t rule;
  std::string_view keyword;
  unsigned contexts;
  std::string_view belongs;
};

constexpr Place kPlaces[] = {
    {P::RuleLetStmt, "let", kEverywhere, ""},
    {P::RuleConstDecl, "const", kEverywhere, ""},
    {P::RuleRequireStmt, "require", kEverywhere, ""},
    {P::RuleWhenStmt, "when", kEverywhere & ~kPrograms, "definitions, step, eval and predict"},
    {P::RuleReturnStmt, "return", kResults, "fn, layer, optimizer, vjp, predict and generate"},
    {P::RuleParamStmt, "param", in(Context::Layer), "layers"},
    {P::RuleStateStmt, "state", in(Context::Layer) | in(Context::Optimizer), "layers and optimizers"},
    {P::RuleUpdateStmt, "update", in(Context::Layer) | in(Context::Optimizer), "layers and optimizers"},
    {P::RuleNextStmt, "next", in(Context::Scan), "scans"},
    {P::RuleEmitStmt, "emit", in(Context::Scan), "scans"},
    {P::RuleUntilStmt, "until", in(Context::Scan), "scans"},
    {P::RuleDataStmt, "data", kPrograms, "train"},
    {P::RuleOptStmt, "opt", kPrograms, "train"},
    {P::RuleFnDecl, "fn", kPrograms, "the top level and train"},
    {P::RuleStepStmt, "step", kPrograms, "train"},
    {P::RuleEvalStmt, "eval", kPrograms, "train"},
    {P::RuleWholeStmt, "whole", in(Context::Eval), "eval"},
    {P::RulePredictStmt, "predict", in(Context::Train), "train"},
    {P::RulePhaseStmt, "phase", in(Context::Train), "train"},
    {P::RuleTrackStmt, "track", in(Context::Train), "train"},
    {P::RuleInitStmt, "init", kPrograms, "train"},
    {P::RuleSweepStmt, "sweep", in(Context::Train), "train"},
    {P::RuleRunStmt, "run", kPrograms, "train"},
    {P::RuleCheckpointStmt, "checkpoint", in(Context::Train), "train"},
    {P::RuleMinimizeStmt, "minimize", in(Context::Step), "step"},
    {P::RuleLogStmt, "log", in(Context::Step) | in(Context::Eval) | in(Context::Whole), "step and eval"},
};

std::string_view describe(Context context) {
  switch (context) {
  case Context::Fn: return "a fn";
  case Context::Layer: return "a layer";
  case Context::Optimizer: return "an optimizer";
  case Context::Vjp: return "a vjp rule";
  case Context::Scan: return "a scan";
  case Context::Train: return "a train block";
  case Context::Phase: return "a phase";
  case Context::Step: return "a step";
  case Context::Eval: return "an eval";
  case Context::Whole: return "a whole block";
  case Context::Predict: return "a predict";
  case Context::Generate: return "a generate block";
  }
  return "?";
}

antlr4::ParserRuleContext& only(P::StmtContext& ctx) {
  return *static_cast<antlr4::ParserRuleContext*>(ctx.children.front());
}

} // namespace

void AstBuilder::checkPlace(P::StmtContext& ctx) {
  for (const Place& place : kPlaces) {
    if (place.rule == only(ctx).getRuleIndex()) {
      if ((place.contexts & in(context_)) == 0) {
        diags_.report<DiagId::misplaced_statement>(rangeOf(*ctx.getStart()), place.keyword, describe(context_))
            .hint("it belongs into " + std::string(place.belongs));
      }
      return;
    }
  }
  DNN_UNREACHABLE("every kind of statement has a row in kPlaces");
}

ast::Block AstBuilder::block(P::BlockContext& ctx, Context context) {
  Context outer = std::exchange(context_, context);
  ast::Block out;
  out.range = rangeOf(ctx);
  for (P::StmtContext* one : ctx.stmt()) {
    out.stmts.push_back(stmt(*one));
  }
  context_ = outer;
  return out;
}

ast::StmtPtr AstBuilder::stmt(P::StmtContext& ctx) {
  tooHighReported_ = false;
  checkPlace(ctx);
  auto made = [&](ast::Stmt::Node node) { return std::make_unique<ast::Stmt>(rangeOf(ctx), std::move(node)); };
  antlr4::ParserRuleContext& s = only(ctx);
  switch (s.getRuleIndex()) {
  case P::RuleLetStmt: return made(let(*ctx.letStmt()));
  case P::RuleConstDecl: return made(ast::Const{name(*ctx.constDecl()->name()), expr(*ctx.constDecl()->expr())});
  case P::RuleParamStmt: return made(typed<ast::Param>(*ctx.paramStmt()));
  case P::RuleStateStmt: return made(typed<ast::State>(*ctx.stateStmt()));
  case P::RuleUpdateStmt: return made(ast::Update{name(*ctx.updateStmt()->name()), expr(*ctx.updateStmt()->expr())});
  case P::RuleRequireStmt: return made(require(*ctx.requireStmt()));
  case P::RuleWhenStmt: return made(when(*ctx.whenStmt()));
  case P::RuleReturnStmt: return made(returned(*ctx.returnStmt()));
  case P::RuleNextStmt: return made(ast::Next{name(*ctx.nextStmt()->name()), expr(*ctx.nextStmt()->expr())});
  case P::RuleEmitStmt: return made(ast::Emit{exprs(ctx.emitStmt()->expr())});
  case P::RuleUntilStmt: return made(ast::Until{expr(*ctx.untilStmt()->expr())});
  case P::RuleDataStmt: return made(data(*ctx.dataStmt()));
  case P::RuleOptStmt: return made(ast::Opt{name(*ctx.optStmt()->name()), expr(*ctx.optStmt()->expr())});
  case P::RuleStepStmt: return made(step(*ctx.stepStmt()));
  case P::RuleEvalStmt: return made(eval(*ctx.evalStmt()));
  case P::RuleWholeStmt:
    return made(ast::Whole{names(*ctx.wholeStmt()->fields()), block(*ctx.wholeStmt()->block(), Context::Whole)});
  case P::RulePhaseStmt:
    return made(ast::Phase{name(*ctx.phaseStmt()->name()), block(*ctx.phaseStmt()->block(), Context::Phase)});
  case P::RuleTrackStmt:
    return made(
        ast::Track{name(*ctx.trackStmt()->name(0)), name(*ctx.trackStmt()->name(1)), expr(*ctx.trackStmt()->expr())});
  case P::RuleInitStmt: return made(init(*ctx.initStmt()));
  case P::RuleSweepStmt: return made(sweep(*ctx.sweepStmt()));
  case P::RulePredictStmt: return made(predict(*ctx.predictStmt()));
  case P::RuleMinimizeStmt: return made(minimize(*ctx.minimizeStmt()));
  case P::RuleLogStmt: return made(log(*ctx.logStmt()));
  case P::RuleRunStmt: return made(run(*ctx.runStmt()));
  case P::RuleCheckpointStmt: return made(checkpoint(*ctx.checkpointStmt()));
  case P::RuleFnDecl: return made(ast::LocalFn{std::make_unique<ast::FnDecl>(fn(*ctx.fnDecl()))});
  default: DNN_UNREACHABLE("the grammar has no other statement");
  }
}

ast::Let AstBuilder::let(P::LetStmtContext& ctx) {
  ast::Let out;
  if (ctx.fields() != nullptr) {
    out.tuple = true;
    out.names = names(*ctx.fields());
  } else {
    out.names.push_back(name(*ctx.name()));
  }
  out.indexed = ctx.LBRACK() != nullptr;
  out.indices = binders(ctx.binder());
  out.value = expr(*ctx.expr());
  if (P::WithValuesContext* with = ctx.withValues()) {
    if (out.tuple || out.indexed) {
      diags_.report<DiagId::misplaced_with>(rangeOf(*with));
      return out;
    }
    out.parameter = name(*with->name());
    out.each = expr(*with->expr());
  }
  return out;
}

template <class T, class Ctx> T AstBuilder::typed(Ctx& ctx) {
  return T{name(*ctx.name()), type(*ctx.type()), expr(*ctx.expr())};
}

ast::Require AstBuilder::require(P::RequireStmtContext& ctx) {
  ast::Require out{expr(*ctx.expr()), std::nullopt};
  if (ctx.STRING() != nullptr) {
    out.message = string(*ctx.STRING()->getSymbol());
  }
  return out;
}

ast::When AstBuilder::when(P::WhenStmtContext& ctx) {
  ast::When out;
  out.branches.push_back({expr(*ctx.expr()), block(*ctx.block(), context_)});
  for (P::ElsePartContext* part : ctx.elsePart()) {
    if (out.otherwise) {
      diags_.report<DiagId::else_not_last>(rangeOf(*part)).note(out.otherwise->range, "the plain `else`");
      break;
    }
    if (part->WHEN() != nullptr) {
      out.branches.push_back({expr(*part->expr()), block(*part->block(), context_)});
    } else {
      out.otherwise = block(*part->block(), context_);
    }
  }
  return out;
}

ast::Return AstBuilder::returned(P::ReturnStmtContext& ctx) {
  ast::Return out{exprs(ctx.expr())};
  if (out.values.size() == 1) {
    if (auto* tuple = std::get_if<ast::Tuple>(&out.values.front()->node)) {
      auto items = std::move(tuple->items);
      out.values = std::move(items);
    }
  }
  return out;
}

std::vector<ast::ExprPtr> AstBuilder::exprs(const std::vector<P::ExprContext*>& list) {
  std::vector<ast::ExprPtr> out;
  for (P::ExprContext* one : list) {
    out.push_back(expr(*one));
  }
  return out;
}

} // namespace dnn::frontend
