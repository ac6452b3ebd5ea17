#include "compiler/sema/names.h"

#include "compiler/sema/ast_walk.h"
#include "compiler/sema/defined_names.h"
#include "compiler/sema/name_checker.h"
#include "compiler/sema/suggest.h"

#include <algorithm>

namespace dnn::sema {

void NameChecker::file(const ast::File& file) {
  for (const auto& decl : file.decls) {
    if (auto* fn = std::get_if<ast::FnDecl>(&decl->node)) {
      definition(fn->signature, fn->body, fn->vjp ? &*fn->vjp : nullptr);
    } else if (auto* layer = std::get_if<ast::LayerDecl>(&decl->node)) {
      definition(layer->signature, layer->body, nullptr);
    } else if (auto* optimizer = std::get_if<ast::OptimizerDecl>(&decl->node)) {
      definition(optimizer->signature, optimizer->body, nullptr);
    } else if (auto* constant = std::get_if<ast::ConstDecl>(&decl->node)) {
      expression(*constant->value);
    } else if (auto* train = std::get_if<ast::TrainDecl>(&decl->node)) {
      block(train->body, {});
    }
  }
}

void NameChecker::use(const ast::Name& name) {
  used_.insert(name.text);
  for (size_t i = scopes_.size(); i-- > 0;) {
    if (scopes_[i].contains(name.text)) {
      for (OpenScan& open : scans_) {
        if (open.scope == i) {
          open.used.insert(name.text);
        }
      }
      return;
    }
  }
  std::vector<std::string> candidates;
  for (const std::set<std::string>& scope : scopes_) {
    candidates.insert(candidates.end(), scope.begin(), scope.end());
  }
  auto report = diags_.report<DiagId::unknown_name>(name.range, name.text);
  if (const ast::Reduce* ended = endedOver(name.text)) {
    report.note(ended->head, "the body of this reducer is a product and has ended; put all of it into parentheses");
  } else if (const ast::Name* later = definedLater(name.text)) {
    report.note(later->range, "it is defined here, behind its use");
  } else {
    report.hint(inResult_ ? "a size that no argument has stands behind the result: `where " + name.text + " = …`"
                          : didYouMean(name.text, candidates));
  }
}

const ast::Reduce* NameChecker::endedOver(const std::string& index) const {
  for (const ast::Reduce* reduce : ended_) {
    if (std::ranges::any_of(reduce->indices, [&](const auto& binder) { return binder.name.text == index; })) {
      return reduce;
    }
  }
  return nullptr;
}

const ast::Name* NameChecker::definedLater(const std::string& name) const {
  for (auto open = blocks_.rbegin(); open != blocks_.rend(); ++open) {
    for (size_t i = open->second + 1; i < open->first->stmts.size(); ++i) {
      for (const ast::Name* defined : definedNames(*open->first->stmts[i])) {
        if (defined->text == name) {
          return defined;
        }
      }
    }
  }
  return nullptr;
}

void NameChecker::distinct(const std::vector<const ast::Name*>& names) {
  std::map<std::string, SourceRange> seen;
  for (const ast::Name* name : names) {
    auto [known, inserted] = seen.emplace(name->text, name->range);
    if (!inserted) {
      diags_.report<DiagId::duplicate_name>(name->range, name->text).note(known->second, "the first one is here");
    }
  }
}

void NameChecker::bindDims(const ast::Type& type) {
  if (auto* tuple = std::get_if<ast::TupleType>(&type.node)) {
    for (const ast::TypePtr& item : tuple->items) {
      bindDims(*item);
    }
    return;
  }
  auto& tensor = std::get<ast::TensorType>(type.node);
  for (const ast::ExprPtr& dim : tensor.dims) {
    if (const ast::Name* name = nameOf(*dim)) {
      bind(name->text);
    }
  }
  if (tensor.bound) {
    if (const ast::Name* name = nameOf(*tensor.bound)) {
      bind(name->text);
    }
  }
}

void NameChecker::useType(const ast::Type& type) {
  if (auto* tuple = std::get_if<ast::TupleType>(&type.node)) {
    for (const ast::TypePtr& item : tuple->items) {
      useType(*item);
    }
    return;
  }
  auto& tensor = std::get<ast::TensorType>(type.node);
  for (const ast::ExprPtr& dim : tensor.dims) {
    expression(*dim);
  }
  if (tensor.bound) {
    expression(*tensor.bound);
  }
}

void NameChecker::definition(const ast::Signature& signature, const ast::Block& body, const ast::VjpRule* vjp) {
  scopes_.emplace_back();
  std::vector<const ast::Name*> names;
  for (const ast::StaticDecl& decl : signature.statics) {
    if (decl.value) {
      expression(*decl.value);
    }
    bind(decl.name.text);
    names.push_back(&decl.name);
  }
  for (const ast::ParamDecl& param : signature.params) {
    bindDims(*param.type);
    names.push_back(&param.name);
  }
  distinct(names);
  for (const ast::ParamDecl& param : signature.params) {
    useType(*param.type);
  }
  for (const ast::WhereDim& where : signature.wheres) {
    expression(*where.value);
    bind(where.name.text);
  }
  if (signature.params.empty()) {
    bindDims(*signature.result); // an initializer: its caller says the shape
  }
  inResult_ = true;
  useType(*signature.result);
  inResult_ = false;
  for (const ast::ParamDecl& param : signature.params) {
    bind(param.name.text);
  }
  std::set<std::string> usedBefore = std::exchange(used_, {});
  declared_.clear();
  updated_.clear();
  block(body, {});
  for (const ast::Name* param : declared_) {
    if (!used_.contains(param->text)) {
      diags_.report<DiagId::unused_parameter>(param->range, param->text);
    }
  }
  declared_.clear();
  used_ = std::move(usedBefore);
  if (vjp) {
    std::set<std::string> params;
    for (const ast::Name& name : vjp->params) {
      params.insert(name.text);
    }
    block(vjp->body, params);
  }
  scopes_.pop_back();
}

void NameChecker::block(const ast::Block& block, std::set<std::string> names) {
  scopes_.push_back(std::move(names));
  blocks_.emplace_back(&block, 0);
  for (size_t i = 0; i < block.stmts.size(); ++i) {
    blocks_.back().second = i;
    std::visit([&](auto& node) { statement(node); }, block.stmts[i]->node);
  }
  blocks_.pop_back();
  scopes_.pop_back();
}

void NameChecker::bindIndices(const std::vector<ast::IndexBinder>& binders) {
  std::vector<const ast::Name*> names;
  for (const ast::IndexBinder& binder : binders) {
    names.push_back(&binder.name);
    if (binder.extent) {
      expression(*binder.extent);
    }
  }
  distinct(names);
  for (const ast::IndexBinder& binder : binders) {
    bind(binder.name.text);
  }
}

void NameChecker::statement(const ast::Let& let) {
  if (auto* scan = ast::getIf<ast::Scan>(*let.value); scan && let.tuple) {
    this->scan(*scan, let.names.size());
  } else if (!let.indexed) {
    expression(*let.value);
    if (let.each) {
      scopes_.push_back({let.parameter->text});
      expression(*let.each);
      scopes_.pop_back();
    }
  } else {
    scopes_.emplace_back();
    bindIndices(let.indices);
    expression(*let.value);
    scopes_.pop_back();
  }
  std::vector<const ast::Name*> names;
  for (const ast::Name& name : let.names) {
    bind(name.text);
    names.push_back(&name);
  }
  distinct(names);
}

void NameChecker::statement(const ast::Const& constant) {
  expression(*constant.value);
  bind(constant.name.text);
}

void NameChecker::statement(const ast::Param& param) {
  useType(*param.type);
  expression(*param.init);
  bind(param.name.text);
  used_.erase(param.name.text); // what stood before it meant something else
  declared_.push_back(&param.name);
}

void NameChecker::statement(const ast::State& state) {
  useType(*state.type);
  expression(*state.init);
  bind(state.name.text);
}

void NameChecker::statement(const ast::Update& update) {
  use(update.name);
  expression(*update.value);
  auto [first, inserted] = updated_.emplace(update.name.text, update.name.range);
  if (!inserted) {
    diags_.report<DiagId::duplicate_update>(update.name.range, update.name.text)
        .note(first->second, "the first update is here");
  }
}

void NameChecker::statement(const ast::When& when) {
  // One of the branches runs: what another one updates is not updated twice.
  const std::map<std::string, SourceRange> before = updated_;
  std::map<std::string, SourceRange> after = before;
  auto branch = [&](const ast::Block& body) {
    updated_ = before;
    block(body, {});
    after.insert(updated_.begin(), updated_.end());
  };
  for (const ast::When::Branch& one : when.branches) {
    expression(*one.condition);
    branch(one.body);
  }
  if (when.otherwise) {
    branch(*when.otherwise);
  }
  updated_ = std::move(after);
}

void NameChecker::statement(const ast::Next& next) {
  expression(*next.value);
  const OpenScan& open = scans_.back(); // `next` stands in scans only
  std::vector<std::string> carries;
  for (const ast::Carry& carry : open.scan->carries) {
    carries.push_back(carry.name.text);
  }
  if (std::find(carries.begin(), carries.end(), next.name.text) == carries.end()) {
    diags_.report<DiagId::not_a_carry>(next.name.range, next.name.text)
        .note(open.scan->index.range, "the scan begins here")
        .hint(didYouMean(next.name.text, carries));
  }
}

void NameChecker::statement(const ast::LocalFn& local) {
  bind(local.fn->signature.name.text);
  definition(local.fn->signature, local.fn->body, local.fn->vjp ? &*local.fn->vjp : nullptr);
}

void NameChecker::all(const std::vector<ast::ExprPtr>& items) {
  for (const ast::ExprPtr& item : items) {
    expression(*item);
  }
}

void NameChecker::expression(const ast::Expr& e) {
  if (const ast::Name* name = nameOf(e)) {
    use(*name);
    return;
  }
  if (auto* reduce = ast::getIf<ast::Reduce>(e)) {
    scopes_.emplace_back();
    bindIndices(reduce->indices);
    for (const ast::IndexBinder& binder : reduce->indices) {
      if (!mentions(*reduce->body, binder.name.text) &&
          !(reduce->guard && mentions(*reduce->guard, binder.name.text))) {
        diags_.report<DiagId::unused_index>(binder.name.range, binder.name.text);
      }
    }
    if (reduce->guard) {
      expression(*reduce->guard);
    }
    expression(*reduce->body);
    scopes_.pop_back();
    return;
  }
  if (auto* fold = ast::getIf<ast::Fold>(e)) {
    expression(*fold->over);
    scopes_.push_back({fold->parameter.text});
    if (!mentions(*fold->body, fold->parameter.text)) {
      diags_.report<DiagId::unused_index>(fold->parameter.range, fold->parameter.text);
    }
    expression(*fold->body);
    scopes_.pop_back();
    return;
  }
  if (auto* scan = ast::getIf<ast::Scan>(e)) {
    this->scan(*scan, 0);
    return;
  }
  if (auto* binary = ast::getIf<ast::Binary>(e)) {
    expression(*binary->left);
    const ast::Expr* last = binary->left.get();
    while (auto* inner = ast::getIf<ast::Binary>(*last)) {
      last = inner->right.get();
    }
    auto* reduce = ast::getIf<ast::Reduce>(*last);
    if (reduce) {
      ended_.push_back(reduce);
    }
    expression(*binary->right);
    if (reduce) {
      ended_.pop_back();
    }
    return;
  }
  forEachChild(e, [&](const ast::Expr& child) { expression(child); });
}

void NameChecker::scan(const ast::Scan& scan, size_t names) {
  expression(*scan.extent);
  if (scan.saveEvery) {
    expression(*scan.saveEvery);
  }
  std::vector<const ast::Name*> bound = {&scan.index};
  std::set<std::string> carried;
  for (const ast::Carry& carry : scan.carries) {
    if (carry.type) {
      useType(*carry.type);
    }
    expression(*carry.value);
    bound.push_back(&carry.name);
    carried.insert(carry.name.text);
  }
  distinct(bound);
  scopes_.push_back({scan.index.text});
  scans_.push_back({&scan, scopes_.size(), {}});
  scopes_.push_back(std::move(carried));
  block(*scan.body, {});
  OpenScan closed = std::move(scans_.back());
  scans_.pop_back();
  scopes_.resize(scopes_.size() - 2);
  if (names > emitCount(*scan.body)) {
    return; // the last values of the carries are used
  }
  for (const ast::Carry& carry : scan.carries) {
    if (!closed.used.contains(carry.name.text)) {
      diags_.report<DiagId::unused_carry>(carry.name.range, carry.name.text)
          .hint("a scan that only needs its last value takes it as a result: `let (…, " + carry.name.text +
                ") = scan …`");
    }
  }
}

void collectDefinitions(const ast::File& file, std::set<std::string>& names) {
  for (const auto& decl : file.decls) {
    if (const ast::Name* name = definedName(*decl)) {
      names.insert(name->text);
    }
  }
}

void checkNames(const std::vector<const ast::File*>& files, const std::set<std::string>& visible,
                diag::Diagnostics& diags) {
  std::map<std::string, SourceRange> definitions;
  std::set<std::string> names = visible;
  for (const ast::File* file : files) {
    collectDefinitions(*file, names);
    for (const auto& decl : file->decls) {
      const ast::Name* name = definedName(*decl);
      auto* train = std::get_if<ast::TrainDecl>(&decl->node);
      std::string key = name ? name->text : train ? "train " + train->name.text : "";
      if (key.empty()) {
        continue;
      }
      SourceRange range = name ? name->range : train->name.range;
      auto [known, inserted] = definitions.emplace(key, range);
      if (!inserted) {
        diags.report<DiagId::duplicate_name>(range, name ? name->text : train->name.text)
            .note(known->second, "the first one is here");
      }
    }
  }
  for (const ast::File* file : files) {
    NameChecker(names, diags).file(*file);
  }
}

} // namespace dnn::sema
