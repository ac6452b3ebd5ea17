// The names in the statements of training programs.
#include "compiler/sema/ast_walk.h"
#include "compiler/sema/name_checker.h"

namespace dnn::sema {

void NameChecker::sourceArgument(const ast::Arg& arg) {
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

void NameChecker::statement(const ast::Data& data) {
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

void NameChecker::statement(const ast::Opt& opt) {
  expression(*opt.value);
  bind(opt.name.text);
}

void NameChecker::fields(const std::vector<ast::Name>& fields, std::set<std::string>& names) {
  std::vector<const ast::Name*> all;
  for (const ast::Name& field : fields) {
    names.insert(field.text);
    all.push_back(&field);
  }
  distinct(all);
}

void NameChecker::statement(const ast::Step& step) {
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

void NameChecker::statement(const ast::Whole& whole) {
  for (const ast::Name& value : whole.values) {
    use(value);
  }
  std::set<std::string> names = {"N"};
  fields(whole.values, names);
  block(whole.body, std::move(names));
}

void NameChecker::statement(const ast::Track& track) {
  use(track.of);
  expression(*track.rule);
  bind(track.name.text);
}

void NameChecker::statement(const ast::Sweep& sweep) {
  for (const ast::Sweep::Item& item : sweep.items) {
    expression(*item.values);
    bind(item.name.text);
  }
}

void NameChecker::statement(const ast::Eval& eval) {
  std::set<std::string> names = {"N", "T"};
  fields(eval.fields, names);
  use(eval.source);
  if (eval.every && eval.every->count) {
    expression(*eval.every->count);
  }
  block(eval.body, std::move(names));
}

void NameChecker::statement(const ast::Predict& predict) {
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

void NameChecker::statement(const ast::Minimize& minimize) {
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

void NameChecker::statement(const ast::Log& log) {
  for (const ast::Log::Entry& entry : log.entries) {
    expression(*entry.value);
  }
}

void NameChecker::statement(const ast::Run& run) {
  for (const ast::Run::Option& option : run.options) {
    if (option.name.text != "restore") { // `best` there is a word
      expression(*option.value);
    }
  }
}

void NameChecker::statement(const ast::Checkpoint& checkpoint) {
  if (checkpoint.of) {
    expression(*checkpoint.of);
  }
}

} // namespace dnn::sema
