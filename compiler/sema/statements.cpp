// Statements of bodies.
#include "compiler/sema/instantiator.h"
#include "compiler/sema/suggest.h"

namespace dnn::sema {

std::optional<Value> Instantiator::runBlock(const ast::Block& block, Env env) {
  env.scope = std::make_shared<Scope>(env.scope);
  return runStmts(block, env);
}

std::optional<Value> Instantiator::runStmts(const ast::Block& block, Env& env) {
  bool applied = env.frame->kind == Frame::Kind::Fn || env.frame->kind == Frame::Kind::Layer;
  bool refused = false;
  for (const ast::StmtPtr& stmt : block.stmts) {
    const ast::Stmt::Node& node = stmt->node;
    // What follows the requirements was written for arguments that they allow.
    if (tooDeep_ || (refused && applied && !std::holds_alternative<ast::Require>(node))) {
      return Poison{};
    }
    if (auto* let = std::get_if<ast::Let>(&node)) {
      runLet(*stmt, *let, env);
    } else if (auto* constant = std::get_if<ast::Const>(&node)) {
      env.frame->statement = constant->name.text;
      Value value = eval(*constant->value, env);
      if (value.as<Tensor>()) {
        error<DiagId::not_static>(constant->value->range, "a constant", describe(value));
        value = Poison{};
      }
      env.scope->bind(constant->name.text, std::move(value), constant->name.range);
    } else if (auto* param = std::get_if<ast::Param>(&node)) {
      runParam(*stmt, *param, env);
    } else if (auto* state = std::get_if<ast::State>(&node)) {
      runState(*stmt, *state, env);
    } else if (auto* update = std::get_if<ast::Update>(&node)) {
      runUpdate(*stmt, *update, env);
    } else if (auto* require = std::get_if<ast::Require>(&node)) {
      refused |= !runRequire(*stmt, *require, env);
    } else if (auto* when = std::get_if<ast::When>(&node)) {
      if (std::optional<Value> value = runWhen(*when, env)) {
        return value;
      }
    } else if (auto* result = std::get_if<ast::Return>(&node)) {
      return returned(*stmt, result->values, env);
    } else if (auto* next = std::get_if<ast::Next>(&node)) {
      runNext(*stmt, *next, env);
    } else if (auto* emit = std::get_if<ast::Emit>(&node)) {
      runEmit(*emit, env);
    } else if (auto* until = std::get_if<ast::Until>(&node)) {
      runUntil(*stmt, *until, env);
    } else if (auto* minimize = std::get_if<ast::Minimize>(&node)) {
      runMinimize(*stmt, *minimize, env);
    } else if (auto* log = std::get_if<ast::Log>(&node)) {
      runLog(*log, env);
    } else if (auto* whole = std::get_if<ast::Whole>(&node)) {
      runWhole(*stmt, *whole, env);
    } else {
      unsupported(stmt->range, "this statement");
    }
  }
  return std::nullopt;
}

Value Instantiator::returned(const ast::Stmt& stmt, const std::vector<ast::ExprPtr>& values, Env& env) {
  env.frame->statement = "return";
  TupleValue tuple;
  bool ok = true;
  for (const ast::ExprPtr& value : values) {
    tuple.items.push_back(forced(eval(*value, env), value->range, env));
    ok &= !tuple.items.back().poisoned();
  }
  returnRange_ = values.size() == 1 ? values[0]->range : stmt.range;
  if (!ok) {
    return Poison{};
  }
  return tuple.items.size() == 1 ? tuple.items[0] : Value(std::move(tuple));
}

void Instantiator::runLet(const ast::Stmt& stmt, const ast::Let& let, Env& env) {
  env.frame->statement = let.names[0].text;
  if (let.indexed) {
    runIndexedLet(stmt, let, env);
    return;
  }
  auto* scan = ast::getIf<ast::Scan>(*let.value);
  Value value = scan ? evalScan(*let.value, *scan, env, &let) : forced(eval(*let.value, env), let.value->range, env);
  if (let.each) {
    env.scope->bind(let.names[0].text, withValues(let, value, env), let.names[0].range);
    return;
  }
  if (let.names.size() == 1 && !let.tuple) {
    value = nameInstances(std::move(value), let.names[0], env);
    env.scope->bind(let.names[0].text, bindable(value, let.names[0].text, stmt.range, env), let.names[0].range);
    return;
  }
  auto* tuple = value.as<TupleValue>();
  if (!value.poisoned() && (!tuple || tuple->items.size() != let.names.size())) {
    error<DiagId::tuple_mismatch>(let.value->range, counted(let.names.size(), "name"), describe(value));
    tuple = nullptr;
  }
  for (size_t i = 0; i < let.names.size(); ++i) {
    Value item = tuple ? nameInstances(tuple->items[i], let.names[i], env) : Value();
    env.scope->bind(let.names[i].text, bindable(item, let.names[i].text, stmt.range, env), let.names[i].range);
  }
}

void Instantiator::runIndexedLet(const ast::Stmt& stmt, const ast::Let& let, Env& env) {
  const ast::Name& name = let.names[0];
  std::map<const ast::Expr*, Value> bases;
  Env inner = env;
  inner.scope = std::make_shared<Scope>(env.scope);
  inner.element = true;
  inner.bases = &bases;
  inner.reductions = 0;
  std::vector<IndexId> indices;
  std::optional<Tensor> value;
  if (bindIndices(let.indices, {let.value.get()}, inner, indices, env.frame->examples)) {
    DrawSite site{indices, callPath(env), 0};
    // A let inside an element is not stored, so it has no points of its own to draw for.
    inner.draws = env.element ? nullptr : &site;
    value = evalTensor(*let.value, inner);
  } else {
    inner.draws = nullptr;
    evalTensor(*let.value, inner); // for the errors inside
  }
  if (value && !value->type.isScalar()) {
    error<DiagId::tensor_as_element>(let.value->range, "`let " + name.text + "[…]`", str(value->type));
    value.reset();
  }
  if (!value) {
    env.scope->bind(name.text, Poison{}, name.range);
    return;
  }
  Tensor out = scalar(element(*value, {}, let.value->range));
  for (IndexId index : indices) {
    out.type.dims.push_back(out_->extent(index));
  }
  out.indices = std::move(indices);
  env.scope->bind(name.text, bindable(out, name.text, stmt.range, env), name.range);
}

std::string Instantiator::whatFails(const ast::Expr& condition, Env& env) {
  auto* binary = ast::getIf<ast::Binary>(condition);
  if (!binary || binary->op == ast::BinaryOp::Or) {
    return "";
  }
  Value left = eval(*binary->left, env);
  if (binary->op == ast::BinaryOp::And) {
    auto* holds = left.as<StaticBool>();
    return whatFails(holds && !holds->value ? *binary->left : *binary->right, env);
  }
  std::optional<std::string> a = shortText(left), b = shortText(eval(*binary->right, env));
  return a && b ? *a + " " + std::string(ast::spelling(binary->op)) + " " + *b : "";
}

bool Instantiator::runRequire(const ast::Stmt& stmt, const ast::Require& require, Env& env) {
  Value value = eval(*require.condition, env);
  if (value.poisoned()) {
    return true;
  }
  auto* known = value.as<StaticBool>();
  if (!known) {
    error<DiagId::wrong_static_kind>(require.condition->range, "`require`", "a condition known before the program runs",
                                     describe(value));
  } else if (!known->value) {
    std::string text = "`" + ast::print(*require.condition) + "` does not hold";
    std::string numbers = whatFails(*require.condition, env);
    text += numbers.empty() ? "" : ": " + numbers;
    auto report = error<DiagId::requirement_failed>(stmt.range, require.message ? *require.message : text);
    if (require.message) {
      report.note(require.condition->range, text);
    }
    return false;
  }
  return true;
}

std::optional<Value> Instantiator::runWhen(const ast::When& when, Env& env) {
  for (const ast::When::Branch& branch : when.branches) {
    std::optional<bool> condition = evalStaticBool(*branch.condition, env, "the condition of `when`");
    if (!condition) {
      env.frame->failed = true;
      return std::nullopt;
    }
    if (*condition) {
      return runBlock(branch.body, env);
    }
  }
  return when.otherwise ? runBlock(*when.otherwise, env) : std::nullopt;
}

} // namespace dnn::sema
