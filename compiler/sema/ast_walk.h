// Walks over expressions of the AST.
#pragma once

#include "compiler/ast/ast.h"

namespace dnn::sema {

/// Calls visit(const ast::Expr&) for each expression directly below, in the order of the text. The body of a scan is no
/// expression.
template <class F> void forEachChild(const ast::Expr& e, F&& visit) {
  struct Visit {
    F& visit;
    void all(const std::vector<ast::ExprPtr>& items) {
      for (const ast::ExprPtr& item : items) {
        visit(*item);
      }
    }
    void operator()(const ast::IntLiteral&) {}
    void operator()(const ast::FloatLiteral&) {}
    void operator()(const ast::BoolLiteral&) {}
    void operator()(const ast::StringLiteral&) {}
    void operator()(const ast::NameRef&) {}
    void operator()(const ast::PackRef&) {}
    void operator()(const ast::Member& n) { visit(*n.base); }
    void operator()(const ast::Call& n) {
      visit(*n.callee);
      for (const ast::Arg& arg : n.args) {
        visit(*arg.value);
      }
    }
    void operator()(const ast::Subscript& n) {
      visit(*n.base);
      all(n.items);
      if (n.fill) {
        visit(*n.fill);
      }
    }
    void operator()(const ast::Unary& n) { visit(*n.operand); }
    void operator()(const ast::Binary& n) {
      visit(*n.left);
      visit(*n.right);
    }
    void operator()(const ast::If& n) {
      visit(*n.condition);
      visit(*n.whenTrue);
      visit(*n.whenFalse);
    }
    void operator()(const ast::Reduce& n) {
      for (const ast::IndexBinder& binder : n.indices) {
        if (binder.extent) {
          visit(*binder.extent);
        }
      }
      if (n.guard) {
        visit(*n.guard);
      }
      visit(*n.body);
    }
    void operator()(const ast::Fold& n) {
      visit(*n.over);
      visit(*n.body);
    }
    void operator()(const ast::Scan& n) {
      visit(*n.extent);
      if (n.saveEvery) {
        visit(*n.saveEvery);
      }
      for (const ast::Carry& carry : n.carries) {
        visit(*carry.value);
      }
    }
    void operator()(const ast::List& n) { all(n.items); }
    void operator()(const ast::Tuple& n) { all(n.items); }
    void operator()(const ast::Range& n) {
      visit(*n.from);
      visit(*n.to);
    }
  };
  std::visit(Visit{visit}, e.node);
}

/// Calls visit(const ast::Expr&) for each expression that a statement of a definition's body holds, in blocks too.
template <class F> void forEachExpr(const ast::Block& block, F&& visit) {
  for (const ast::StmtPtr& stmt : block.stmts) {
    if (auto* let = std::get_if<ast::Let>(&stmt->node)) {
      visit(*let->value);
      if (let->each) {
        visit(*let->each);
      }
    } else if (auto* constant = std::get_if<ast::Const>(&stmt->node)) {
      visit(*constant->value);
    } else if (auto* require = std::get_if<ast::Require>(&stmt->node)) {
      visit(*require->condition);
    } else if (auto* when = std::get_if<ast::When>(&stmt->node)) {
      for (const ast::When::Branch& branch : when->branches) {
        visit(*branch.condition);
        forEachExpr(branch.body, visit);
      }
      if (when->otherwise) {
        forEachExpr(*when->otherwise, visit);
      }
    } else if (auto* result = std::get_if<ast::Return>(&stmt->node)) {
      for (const ast::ExprPtr& value : result->values) {
        visit(*value);
      }
    } else if (auto* next = std::get_if<ast::Next>(&stmt->node)) {
      visit(*next->value);
    } else if (auto* emit = std::get_if<ast::Emit>(&stmt->node)) {
      for (const ast::ExprPtr& value : emit->values) {
        visit(*value);
      }
    } else if (auto* until = std::get_if<ast::Until>(&stmt->node)) {
      visit(*until->condition);
    }
  }
}

/// The name that the expression is, as `x` or `*x`; null if it is another expression.
inline const ast::Name* nameOf(const ast::Expr& e) {
  if (auto* ref = ast::getIf<ast::NameRef>(e)) {
    return &ref->name;
  }
  auto* pack = ast::getIf<ast::PackRef>(e);
  return pack ? &pack->name : nullptr;
}

} // namespace dnn::sema
