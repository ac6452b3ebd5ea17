// The statements of training programs.
#include "compiler/frontend/ast_builder.h"

namespace dnn::frontend {

using ast::Context;
using diag::DiagId;

ast::Data AstBuilder::data(P::DataStmtContext& ctx) {
  ast::Data out;
  out.name = name(*ctx.name());
  P::SourceContext& source = *ctx.source();
  if (source.tableSource() != nullptr) {
    out.source = table(*source.tableSource());
  } else if (source.generateSource() != nullptr) {
    out.source = generate(*source.generateSource());
  } else {
    out.source = expr(*source.expr());
  }
  out.options = assignments(ctx.assignment());
  return out;
}

ast::TableSource AstBuilder::table(P::TableSourceContext& ctx) {
  ast::TableSource out{rangeOf(ctx), {}};
  for (P::TableFieldContext* field : ctx.tableField()) {
    out.fields.push_back({name(*field->name()), type(*field->type()), expr(*field->expr())});
  }
  return out;
}

ast::GenerateSource AstBuilder::generate(P::GenerateSourceContext& ctx) {
  ast::GenerateSource out;
  out.range = rangeOf(ctx);
  out.count = expr(*ctx.expr(0));
  out.seed = ctx.SEED() == nullptr ? nullptr : expr(*ctx.expr(1));
  out.body = block(*ctx.block(), Context::Generate);
  return out;
}

ast::Step AstBuilder::step(P::StepStmtContext& ctx) {
  ast::Step out;
  for (P::StepSourceContext* source : ctx.stepSource()) {
    out.reads.push_back({names(*source->fields()), name(*source->name())});
  }
  out.body = block(*ctx.block(), Context::Step);
  return out;
}

ast::Eval AstBuilder::eval(P::EvalStmtContext& ctx) {
  ast::Eval out;
  out.fields = names(*ctx.fields());
  out.source = name(*ctx.name());
  if (ctx.every() != nullptr) {
    out.every = every(*ctx.every());
  }
  out.body = block(*ctx.block(), Context::Eval);
  return out;
}

ast::Predict AstBuilder::predict(P::PredictStmtContext& ctx) {
  ast::Predict out;
  out.name = name(*ctx.name());
  out.params = params(*ctx.declList());
  out.result = type(*ctx.type());
  if (ctx.limits() != nullptr) {
    for (P::LimitContext* limit : ctx.limits()->limit()) {
      out.limits.push_back({name(*limit->name()), expr(*limit->expr())});
    }
  }
  out.body = block(*ctx.block(), Context::Predict);
  return out;
}

ast::Minimize AstBuilder::minimize(P::MinimizeStmtContext& ctx) {
  ast::Minimize out;
  out.loss = expr(*ctx.expr(0));
  out.over = targets(*ctx.targets(0));
  if (ctx.EXCEPT() != nullptr) {
    out.except = targets(*ctx.targets(1));
  }
  ast::ExprPtr optimizer = expr(*ctx.expr(1));
  if (const auto* ref = ast::getIf<ast::NameRef>(*optimizer)) {
    out.optimizer = ref->name;
  } else {
    diags_.report<DiagId::optimizer_without_name>(optimizer->range)
        .hint("declare one before the step: `opt o = sgd(lr = 0.1)`");
  }
  auto once = [&](bool known, P::MinimizeOptionContext& option) {
    if (known) {
      diags_.report<DiagId::duplicate_statement>(rangeOf(option), option.getStart()->getText());
    }
    return !known;
  };
  for (P::MinimizeOptionContext* option : ctx.minimizeOption()) {
    if (option->every() != nullptr && once(out.every.has_value(), *option)) {
      out.every = every(*option->every());
    } else if (option->ACCUMULATE() != nullptr && once(out.accumulate != nullptr, *option)) {
      out.accumulate = arithmetic(*option->arithmetic());
    } else if (option->THROUGH() != nullptr && once(!out.through.empty(), *option)) {
      out.through = exprs(option->expr());
    }
  }
  return out;
}

ast::Init AstBuilder::init(P::InitStmtContext& ctx) {
  antlr4::Token& file = *ctx.STRING(0)->getSymbol();
  ast::Init out{path(*ctx.path()), rangeOf(file), string(file), std::nullopt};
  if (ctx.AS() != nullptr) {
    out.as = string(*ctx.STRING(1)->getSymbol());
  }
  return out;
}

ast::Sweep AstBuilder::sweep(P::SweepStmtContext& ctx) {
  ast::Sweep out;
  for (P::SweepItemContext* item : ctx.sweepItem()) {
    out.items.push_back({name(*item->name()), element(*item->element())});
  }
  return out;
}

std::vector<ast::ExprPtr> AstBuilder::targets(P::TargetsContext& ctx) {
  std::vector<ast::ExprPtr> out;
  for (P::TargetContext* one : ctx.target()) {
    out.push_back(path(*one));
  }
  return out;
}

/// Of a path, or of a target, which may have `.*` in it.
ast::ExprPtr AstBuilder::path(antlr4::ParserRuleContext& ctx) {
  ast::ExprPtr out;
  for (antlr4::tree::ParseTree* child : ctx.children) {
    if (auto* first = dynamic_cast<P::NameContext*>(child)) {
      out = make(rangeOf(*first), ast::NameRef{name(*first)});
    } else if (auto* member = dynamic_cast<P::MemberContext*>(child)) {
      diag::SourceRange range = cover(out->range, rangeOf(*member));
      out = make(range, ast::Member{std::move(out), name(*member->name())});
    } else if (auto* part = dynamic_cast<P::TargetMemberContext*>(child)) {
      diag::SourceRange range = cover(out->range, rangeOf(*part));
      ast::Name any{std::string(ast::kAnyNames), rangeOf(*part)};
      out = make(range, ast::Member{std::move(out), part->name() == nullptr ? any : name(*part->name())});
    } else {
      out = subscripted(std::move(out), *static_cast<P::SubscriptContext*>(child));
    }
  }
  return out;
}

ast::Log AstBuilder::log(P::LogStmtContext& ctx) {
  ast::Log out;
  for (P::LogEntryContext* entry : ctx.logEntry()) {
    ast::Name first = name(*entry->name(0));
    bool shown = entry->name().size() == 2;
    if (shown && first.text != "image") {
      diags_.report<DiagId::unknown_log_kind>(first.range, first.text)
          .hint("write `log NAME = value` or `log image NAME = value`");
    }
    out.entries.push_back({shown ? name(*entry->name(1)) : first, expr(*entry->expr()), shown});
  }
  if (ctx.every() != nullptr) {
    out.every = every(*ctx.every());
  }
  return out;
}

ast::Run AstBuilder::run(P::RunStmtContext& ctx) {
  ast::Run out;
  for (P::RunOptionContext* option : ctx.runOption()) {
    ast::ExprPtr on = option->path() == nullptr ? nullptr : path(*option->path());
    out.options.push_back({name(*option->name()), expr(*option->expr()), std::move(on)});
  }
  return out;
}

ast::Checkpoint AstBuilder::checkpoint(P::CheckpointStmtContext& ctx) {
  antlr4::Token& file = *ctx.STRING()->getSymbol();
  ast::Checkpoint out;
  out.pathRange = rangeOf(file);
  out.path = string(file);
  if (ctx.every() != nullptr) {
    out.every = every(*ctx.every());
  }
  size_t next = 0;
  out.of = ctx.OF() == nullptr ? nullptr : path(*ctx.path(next++));
  out.best = ctx.KEEP() == nullptr ? nullptr : path(*ctx.path(next));
  return out;
}

ast::Every AstBuilder::every(P::EveryContext& ctx) {
  ast::Every out;
  out.range = rangeOf(ctx);
  out.count = ctx.INT() == nullptr ? nullptr : number(*ctx.INT()->getSymbol());
  ast::Name unit = name(*ctx.name());
  if (unit.text == "step" || unit.text == "steps") {
    out.unit = ast::Every::Unit::Step;
  } else if (unit.text != "epoch" && unit.text != "epochs") {
    diags_.report<DiagId::bad_every>(unit.range, unit.text)
        .hint("write `every epoch`, `every 5 epochs` or `every 100 steps`");
  }
  return out;
}

} // namespace dnn::frontend
