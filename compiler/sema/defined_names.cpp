#include "compiler/sema/defined_names.h"

#include "compiler/sema/ast_walk.h"

#include <algorithm>

namespace dnn::sema {

const ast::Name* definedName(const ast::Decl& decl) {
  if (auto* fn = std::get_if<ast::FnDecl>(&decl.node)) {
    return &fn->signature.name;
  }
  if (auto* layer = std::get_if<ast::LayerDecl>(&decl.node)) {
    return &layer->signature.name;
  }
  if (auto* optimizer = std::get_if<ast::OptimizerDecl>(&decl.node)) {
    return &optimizer->signature.name;
  }
  auto* constant = std::get_if<ast::ConstDecl>(&decl.node);
  return constant ? &constant->name : nullptr;
}

bool mentions(const ast::Expr& e, const std::string& name) {
  if (const ast::Name* own = nameOf(e); own && own->text == name) {
    return true;
  }
  if (ast::getIf<ast::Scan>(e)) {
    return true; // its body may
  }
  bool found = false;
  forEachChild(e, [&](const ast::Expr& child) { found = found || mentions(child, name); });
  return found;
}

size_t emitCount(const ast::Block& body) {
  size_t count = 0;
  for (const ast::StmtPtr& stmt : body.stmts) {
    if (auto* emit = std::get_if<ast::Emit>(&stmt->node)) {
      count += emit->values.size();
    } else if (auto* when = std::get_if<ast::When>(&stmt->node)) {
      size_t most = when->otherwise ? emitCount(*when->otherwise) : 0;
      for (const ast::When::Branch& branch : when->branches) {
        most = std::max(most, emitCount(branch.body));
      }
      count += most;
    }
  }
  return count;
}

std::vector<const ast::Name*> definedNames(const ast::Stmt& stmt) {
  std::vector<const ast::Name*> names;
  auto add = [&](const auto& node) {
    using Node = std::decay_t<decltype(node)>;
    if constexpr (std::is_same_v<Node, ast::Let>) {
      for (const ast::Name& name : node.names) {
        names.push_back(&name);
      }
    } else if constexpr (std::is_same_v<Node, ast::Sweep>) {
      for (const ast::Sweep::Item& item : node.items) {
        names.push_back(&item.name);
      }
    } else if constexpr (std::is_same_v<Node, ast::LocalFn>) {
      names.push_back(&node.fn->signature.name);
    } else if constexpr (std::is_same_v<Node, ast::Const> || std::is_same_v<Node, ast::Param> ||
                         std::is_same_v<Node, ast::State> || std::is_same_v<Node, ast::Data> ||
                         std::is_same_v<Node, ast::Opt> || std::is_same_v<Node, ast::Track>) {
      names.push_back(&node.name);
    }
  };
  std::visit(add, stmt.node);
  return names;
}

} // namespace dnn::sema
