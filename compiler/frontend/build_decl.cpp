// Files, definitions, signatures, types.
#include "compiler/frontend/ast_builder.h"

#include "DnnLexer.h"

namespace dnn::frontend {

using diag::DiagId;
using diag::SourceRange;
using syntax::DnnLexer;

std::unique_ptr<ast::File> AstBuilder::file(P::FileContext& ctx) {
  auto out = std::make_unique<ast::File>();
  out->id = file_;
  for (P::DeclContext* one : ctx.decl()) {
    out->decls.push_back(decl(*one));
  }
  return out;
}

std::unique_ptr<ast::Decl> AstBuilder::decl(P::DeclContext& ctx) {
  tooHighReported_ = false;
  auto out = std::make_unique<ast::Decl>();
  out->range = rangeOf(ctx);
  if (auto* import = ctx.importDecl()) {
    antlr4::Token& path = *import->STRING()->getSymbol();
    out->node = ast::ImportDecl{rangeOf(path), string(path)};
  } else if (auto* constant = ctx.constDecl()) {
    out->node = ast::ConstDecl{name(*constant->name()), expr(*constant->expr())};
  } else if (auto* function = ctx.fnDecl()) {
    out->node = fn(*function);
  } else if (auto* layer = ctx.layerDecl()) {
    ast::Signature head = signature(*layer->name(), *layer->signature());
    out->node = ast::LayerDecl{std::move(head), block(*layer->block(), ast::Context::Layer)};
  } else if (auto* optimizer = ctx.optimizerDecl()) {
    ast::Signature head = signature(*optimizer->name(), *optimizer->signature());
    if (!head.hasStatics) {
      diags_.report<DiagId::optimizer_without_statics>(head.name.range).hint("write `()` if it has no static ones");
    }
    out->node = ast::OptimizerDecl{std::move(head), block(*optimizer->block(), ast::Context::Optimizer)};
  } else {
    auto* train = ctx.trainDecl();
    out->node = ast::TrainDecl{name(*train->name()), block(*train->block(), ast::Context::Train)};
  }
  return out;
}

ast::FnDecl AstBuilder::fn(P::FnDeclContext& ctx) {
  ast::FnDecl out;
  out.signature = signature(*ctx.name(), *ctx.signature());
  if (ctx.block() != nullptr) {
    out.body = block(*ctx.block(), ast::Context::Fn);
  } else {
    SourceRange range = rangeOf(*ctx.expr());
    ast::Return result;
    result.values.push_back(expr(*ctx.expr()));
    out.body.range = range;
    out.body.stmts.push_back(std::make_unique<ast::Stmt>(range, std::move(result)));
  }
  if (auto* rule = ctx.vjpRule()) {
    out.vjp = ast::VjpRule{rangeOf(*rule), names(*rule->fields()), block(*rule->block(), ast::Context::Vjp)};
  }
  return out;
}

ast::Signature AstBuilder::signature(P::NameContext& named, P::SignatureContext& ctx) {
  ast::Signature out;
  out.name = name(named);
  out.hasStatics = ctx.declList().size() == 2;
  if (out.hasStatics) {
    out.statics = statics(*ctx.declList(0));
  }
  out.params = params(*ctx.declList(out.hasStatics ? 1 : 0));
  out.result = type(*ctx.type());
  if (ctx.whereClause() != nullptr) {
    for (ast::Arg& dim : assignments(ctx.whereClause()->assignment())) {
      out.wheres.push_back({std::move(*dim.name), std::move(dim.value)});
    }
  }
  return out;
}

std::vector<ast::StaticDecl> AstBuilder::statics(P::DeclListContext& ctx) {
  std::vector<ast::StaticDecl> out;
  for (P::DeclItemContext* item : ctx.declItem()) {
    ast::StaticDecl one;
    one.name = name(*item->name());
    one.value = item->expr() == nullptr ? nullptr : expr(*item->expr());
    if (item->type() == nullptr) {
      antlr4::Token& keyword = *(item->FN() != nullptr ? item->FN() : item->LAYER())->getSymbol();
      one.kind = {keyword.getText(), rangeOf(keyword)};
    } else if (item->type()->name() != nullptr && item->type()->children.size() == 1) {
      one.kind = name(*item->type()->name());
    } else {
      diags_.report<DiagId::static_not_kind>(rangeOf(*item->type()), one.name.text);
    }
    out.push_back(std::move(one));
  }
  return out;
}

std::vector<ast::ParamDecl> AstBuilder::params(P::DeclListContext& ctx) {
  std::vector<ast::ParamDecl> out;
  for (P::DeclItemContext* item : ctx.declItem()) {
    ast::ParamDecl one{name(*item->name()), nullptr};
    if (item->type() != nullptr) {
      one.type = type(*item->type());
    } else {
      antlr4::Token& keyword = *(item->FN() != nullptr ? item->FN() : item->LAYER())->getSymbol();
      diags_.report<DiagId::kind_as_type>(rangeOf(keyword), keyword.getText())
          .hint("static parameters stand in a list of their own in front: `f(g: fn)(x: f32[N])`");
    }
    if (item->expr() != nullptr) {
      diags_.report<DiagId::default_on_parameter>(rangeOf(*item->expr()), one.name.text);
    }
    out.push_back(std::move(one));
  }
  return out;
}

ast::TypePtr AstBuilder::type(P::TypeContext& ctx) {
  auto out = std::make_unique<ast::Type>();
  out->range = rangeOf(ctx);
  if (ctx.name() == nullptr) {
    ast::TupleType tuple;
    for (P::TypeContext* item : ctx.type()) {
      tuple.items.push_back(type(*item));
    }
    out->node = std::move(tuple);
  } else {
    ast::TensorType tensor;
    tensor.dtype = name(*ctx.name());
    tensor.dims = items(ctx.item());
    tensor.bound = ctx.arithmetic() == nullptr ? nullptr : arithmetic(*ctx.arithmetic());
    out->node = std::move(tensor);
  }
  return out;
}

ast::Name AstBuilder::name(antlr4::ParserRuleContext& ctx) { return {ctx.getStart()->getText(), rangeOf(ctx)}; }

std::vector<ast::Name> AstBuilder::names(P::FieldsContext& ctx) {
  std::vector<ast::Name> out;
  for (P::NameContext* one : ctx.name()) {
    out.push_back(name(*one));
  }
  return out;
}

std::string AstBuilder::string(antlr4::Token& token) {
  std::string text = token.getText(); // with its quotes
  SourceRange range = rangeOf(token);
  std::string out;
  for (size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    char escape = text[++i];
    switch (escape) {
    case 'n': out += '\n'; break;
    case 't': out += '\t'; break;
    case '\\':
    case '"': out += escape; break;
    default: {
      auto at = range.begin + static_cast<uint32_t>(i) - 1;
      SourceRange place{file_, at, at + 2};
      diags_.report<DiagId::bad_escape>(place, std::string("\\") + escape)
          .hint("a string knows `\\n`, `\\t`, `\\\\` and `\\\"`");
    }
    }
  }
  return out;
}

SourceRange AstBuilder::rangeOf(antlr4::ParserRuleContext& ctx) {
  return cover(rangeOf(*ctx.getStart()), rangeOf(*ctx.getStop()));
}

} // namespace dnn::frontend
