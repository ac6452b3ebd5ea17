#include "compiler/build/build_graph.h"

#include "compiler/build/function_builder.h"
#include "compiler/support/assert.h"

#include <functional>
#include <unordered_map>

namespace dnn::build {

namespace {

graph::FunctionKind kindOf(plan::Entry::Kind kind) {
  switch (kind) {
  case plan::Entry::Kind::Init: return graph::FunctionKind::Init;
  case plan::Entry::Kind::Step: return graph::FunctionKind::Step;
  case plan::Entry::Kind::Eval:
  case plan::Entry::Kind::Whole: return graph::FunctionKind::Eval;
  case plan::Entry::Kind::Predict: return graph::FunctionKind::Predict;
  case plan::Entry::Kind::Generate: return graph::FunctionKind::Generate;
  }
  DNN_UNREACHABLE("every kind of entry has a kind of function");
}

graph::Persistent::Kind kindOf(plan::Persistent::Kind kind) {
  switch (kind) {
  case plan::Persistent::Kind::Parameter: return graph::Persistent::Kind::Parameter;
  case plan::Persistent::Kind::State: return graph::Persistent::Kind::State;
  case plan::Persistent::Kind::OptimizerState: return graph::Persistent::Kind::OptimizerState;
  }
  DNN_UNREACHABLE("every kind of persistent tensor exists in the graph");
}

/// Names of helper functions: a primal keeps its own, with a number where two have the same; its rule adds ".vjp",
/// which is where the graph looks for it. Several calls may share a primal.
std::vector<std::string> nameHelpers(const sema::Program& program) {
  std::vector<std::string> names(program.helpers.size());
  std::unordered_map<std::string, int> taken;
  std::function<void(const std::vector<sema::Statement>&)> visit = [&](const std::vector<sema::Statement>& body) {
    for (const sema::Statement& statement : body) {
      if (const auto* scan = std::get_if<sema::Scan>(&statement.node)) {
        visit(scan->body);
      }
      const auto* call = std::get_if<sema::CallVjp>(&statement.node);
      if (call == nullptr || !names[call->primal].empty()) {
        continue;
      }
      std::string name = program.helpers[call->primal].name;
      if (int count = ++taken[name]; count > 1) {
        name += "." + std::to_string(count);
      }
      names[call->primal] = name;
      names[call->rule] = name + ".vjp";
    }
  };
  for (const sema::Function& function : program.functions) {
    visit(function.body);
  }
  for (const sema::Function& helper : program.helpers) {
    visit(helper.body);
  }
  return names;
}

} // namespace

std::unique_ptr<graph::Module> buildGraph(const sema::Program& program, const diag::Sources& sources) {
  auto module = std::make_unique<graph::Module>();
  Locations locations(*module, sources);
  locations.of({diag::FileId{0}, 0, 0}); // the user's file comes first: it names the module
  for (const sema::Persistent& p : program.persistents) {
    module->persistents.push_back({kindOf(p.kind), p.path, p.type, locations.of(p.range)});
  }
  std::vector<std::string> helperNames = nameHelpers(program);
  Context context{program, *module, locations, helperNames};
  for (const sema::Function& function : program.functions) {
    buildFunction(context, function, module->addFunction(kindOf(function.kind), function.name));
  }
  for (size_t i = 0; i < program.helpers.size(); ++i) {
    if (!helperNames[i].empty()) { // a helper that nothing calls has no name
      buildFunction(context, program.helpers[i], module->addFunction(graph::FunctionKind::Helper, helperNames[i]));
    }
  }
  return module;
}

} // namespace dnn::build
