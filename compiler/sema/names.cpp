#include "compiler/sema/names.h"

#include "compiler/sema/ast_walk.h"
#include "compiler/sema/suggest.h"

#include <algorithm>
#include <map>
#include <utility>

namespace dnn::sema {

namespace {

using diag::DiagId;
using diag::SourceRange;

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

/// How many values the body of a scan emits; at most, if that depends on what is known later.
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

/// The names that a statement gives to what stands behind it.
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

class Checker {
public:
  Checker(const std::set<std::string>& visible, diag::Diagnostics& diags) : diags_(diags) {
    scopes_.push_back(visible);
  }

  void file(const ast::File& file) {
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

private:
  diag::Diagnostics& diags_;
  std::vector<std::set<std::string>> scopes_;
  std::vector<std::pair<const ast::Block*, size_t>> blocks_; // those around the present statement, which it is of each
  /// A scan whose body is being checked.
  struct OpenScan {
    const ast::Scan* scan;
    size_t scope;               // of the carries, in scopes_
    std::set<std::string> used; // carries that the body reads
  };
  std::vector<OpenScan> scans_;
  std::vector<const ast::Reduce*> ended_; // those whose bodies end where the present operand begins
  // Of the definition that is being checked.
  std::set<std::string> used_;
  std::vector<const ast::Name*> declared_;     // parameters
  std::map<std::string, SourceRange> updated_; // states, where first

  void bind(const std::string& name) { scopes_.back().insert(name); }
  void use(const ast::Name& name) {
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
      report.hint(didYouMean(name.text, candidates));
    }
  }

  /// The reducer over this index that stands left of the present operand: `sum[k] a[k] + b[k]`; or null.
  const ast::Reduce* endedOver(const std::string& index) const {
    for (const ast::Reduce* reduce : ended_) {
      if (std::ranges::any_of(reduce->indices, [&](const auto& binder) { return binder.name.text == index; })) {
        return reduce;
      }
    }
    return nullptr;
  }

  /// Where a statement that is still to come, of the present block or of one around it, defines the name; or null.
  const ast::Name* definedLater(const std::string& name) const {
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

  void distinct(const std::vector<const ast::Name*>& names) {
    std::map<std::string, SourceRange> seen;
    for (const ast::Name* name : names) {
      auto [known, inserted] = seen.emplace(name->text, name->range);
      if (!inserted) {
        diags_.report<DiagId::duplicate_name>(name->range, name->text).note(known->second, "the first one is here");
      }
    }
  }

  /// Names of a type that nothing has bound become dimensions of the definition.
  void bindDims(const ast::Type& type) {
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
  void useType(const ast::Type& type) {
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

  void definition(const ast::Signature& signature, const ast::Block& body, const ast::VjpRule* vjp) {
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
    useType(*signature.result);
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

  void block(const ast::Block& block, std::set<std::string> names) {
    scopes_.push_back(std::move(names));
    blocks_.emplace_back(&block, 0);
    for (size_t i = 0; i < block.stmts.size(); ++i) {
      blocks_.back().second = i;
      std::visit([&](auto& node) { statement(node); }, block.stmts[i]->node);
    }
    blocks_.pop_back();
    scopes_.pop_back();
  }

  void bindIndices(const std::vector<ast::IndexBinder>& binders) {
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

  void statement(const ast::Let& let) {
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
  void statement(const ast::Const& constant) {
    expression(*constant.value);
    bind(constant.name.text);
  }
  void statement(const ast::Param& param) {
    useType(*param.type);
    expression(*param.init);
    bind(param.name.text);
    used_.erase(param.name.text); // what stood before it meant something else
    declared_.push_back(&param.name);
  }
  void statement(const ast::State& state) {
    useType(*state.type);
    expression(*state.init);
    bind(state.name.text);
  }
  void statement(const ast::Update& update) {
    use(update.name);
    expression(*update.value);
    auto [first, inserted] = updated_.emplace(update.name.text, update.name.range);
    if (!inserted) {
      diags_.report<DiagId::duplicate_update>(update.name.range, update.name.text)
          .note(first->second, "the first update is here");
    }
  }
  void statement(const ast::Require& require) { expression(*require.condition); }
  void statement(const ast::When& when) {
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
  void statement(const ast::Return& result) { all(result.values); }
  void statement(const ast::Next& next) {
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
  void statement(const ast::Emit& emit) { all(emit.values); }
  void statement(const ast::Until& until) { expression(*until.condition); }
  /// An argument of a source. `unit = char`, `missing = mean`, `categories("column")` are words that a source knows.
  void sourceArgument(const ast::Arg& arg) {
    auto* name = ast::getIf<ast::NameRef>(*arg.value);
    std::string option = arg.name ? arg.name->text : "";
    if (name && (option == "unit" || option == "labels" || (option == "missing" && name->name.text == "mean"))) {
      return;
    }
    auto* less = ast::getIf<ast::Binary>(*arg.value);
    bool bounded = less && less->op == ast::BinaryOp::Lt;
    auto* call = ast::getIf<ast::Call>(bounded ? *less->left : *arg.value);
    auto* callee = call ? ast::getIf<ast::NameRef>(*call->callee) : nullptr;
    std::string word = callee ? callee->name.text : "";
    if (word != "categories" && word != "tokens" && word != "ragged") {
      expression(*arg.value);
      return;
    }
    for (const ast::Arg& inner : call->args) {
      sourceArgument(inner);
    }
    if (bounded) {
      expression(*less->right);
    }
  }
  void statement(const ast::Data& data) {
    // The callee and the named arguments of a source are the source's own words.
    if (auto* call = std::get_if<ast::ExprPtr>(&data.source)) {
      if (auto* c = ast::getIf<ast::Call>(**call)) {
        for (const ast::Arg& arg : c->args) {
          sourceArgument(arg);
        }
      }
    } else if (auto* table = std::get_if<ast::TableSource>(&data.source)) {
      std::vector<const ast::Name*> names;
      for (const ast::TableField& field : table->fields) {
        expression(*field.value);
        names.push_back(&field.name);
      }
      distinct(names);
    } else {
      auto& generate = std::get<ast::GenerateSource>(data.source);
      expression(*generate.count);
      if (generate.seed) {
        expression(*generate.seed);
      }
      block(generate.body, {});
    }
    for (const ast::Arg& option : data.options) {
      expression(*option.value);
    }
    bind(data.name.text);
  }
  void statement(const ast::Opt& opt) {
    expression(*opt.value);
    bind(opt.name.text);
  }
  void fields(const std::vector<ast::Name>& fields, std::set<std::string>& names) {
    std::vector<const ast::Name*> all;
    for (const ast::Name& field : fields) {
      names.insert(field.text);
      all.push_back(&field);
    }
    distinct(all);
  }
  void statement(const ast::Step& step) {
    std::set<std::string> names;
    std::vector<const ast::Name*> all;
    for (const ast::Step::Read& read : step.reads) {
      use(read.source);
      names.insert("N");                                                                                    // the batch
      names.insert(&read == step.reads.data() ? "T" : "T" + std::to_string(&read - step.reads.data() + 1)); // lengths
      for (const ast::Name& field : read.fields) {
        names.insert(field.text);
        all.push_back(&field);
      }
    }
    distinct(all);
    block(step.body, std::move(names));
  }
  void statement(const ast::Whole& whole) {
    for (const ast::Name& value : whole.values) {
      use(value);
    }
    std::set<std::string> names = {"N"};
    fields(whole.values, names);
    block(whole.body, std::move(names));
  }
  void statement(const ast::Phase& phase) { block(phase.body, {}); }
  void statement(const ast::Track& track) {
    use(track.of);
    expression(*track.rule);
    bind(track.name.text);
  }
  void statement(const ast::Init& init) { expression(*init.target); }
  void statement(const ast::Sweep& sweep) {
    for (const ast::Sweep::Item& item : sweep.items) {
      expression(*item.values);
      bind(item.name.text);
    }
  }
  void statement(const ast::Eval& eval) {
    std::set<std::string> names = {"N", "T"};
    fields(eval.fields, names);
    use(eval.source);
    if (eval.every && eval.every->count) {
      expression(*eval.every->count);
    }
    block(eval.body, std::move(names));
  }
  void statement(const ast::Predict& predict) {
    scopes_.emplace_back();
    std::vector<const ast::Name*> names;
    for (const ast::ParamDecl& param : predict.params) {
      bindDims(*param.type);
      names.push_back(&param.name);
    }
    distinct(names);
    for (const ast::ParamDecl& param : predict.params) {
      useType(*param.type);
      bind(param.name.text);
    }
    useType(*predict.result);
    for (const ast::Predict::Limit& limit : predict.limits) {
      expression(*limit.most);
    }
    block(predict.body, {});
    scopes_.pop_back();
  }
  void statement(const ast::Minimize& minimize) {
    expression(*minimize.loss);
    // Paths below the first name are parameters, known once the network has been called.
    auto selection = [&](const std::vector<ast::ExprPtr>& paths) {
      for (const ast::ExprPtr& path : paths) {
        expression(*path);
      }
    };
    selection(minimize.over);
    selection(minimize.except);
    use(minimize.optimizer);
    if (minimize.accumulate) {
      expression(*minimize.accumulate);
    }
    all(minimize.through);
  }
  void statement(const ast::Log& log) {
    for (const ast::Log::Entry& entry : log.entries) {
      expression(*entry.value);
    }
  }
  void statement(const ast::Run& run) {
    for (const ast::Run::Option& option : run.options) {
      if (option.name.text != "restore") { // `best` there is a word
        expression(*option.value);
      }
    }
  }
  void statement(const ast::Checkpoint& checkpoint) {
    if (checkpoint.of) {
      expression(*checkpoint.of);
    }
  }
  void statement(const ast::LocalFn& local) {
    bind(local.fn->signature.name.text);
    definition(local.fn->signature, local.fn->body, local.fn->vjp ? &*local.fn->vjp : nullptr);
  }

  void all(const std::vector<ast::ExprPtr>& items) {
    for (const ast::ExprPtr& item : items) {
      expression(*item);
    }
  }

  void expression(const ast::Expr& e) {
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

  /// `names`: how many take its values apart; 0 for a scan whose value is what it emits.
  void scan(const ast::Scan& scan, size_t names) {
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
};

} // namespace

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
    Checker(names, diags).file(*file);
  }
}

} // namespace dnn::sema
