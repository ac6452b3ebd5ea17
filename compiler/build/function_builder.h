// One function of the program → one function of the graph, statement by statement.
#pragma once

#include "compiler/diag/source.h"
#include "compiler/graph/graph.h"
#include "compiler/sema/program.h"

#include <string>
#include <unordered_map>
#include <vector>

namespace dnn::build {

/// Places in source files as the graph names them; adds the names of files to the module as they occur.
class Locations {
public:
  Locations(graph::Module& module, const diag::Sources& sources) : module_(module), sources_(sources) {}
  graph::Loc of(diag::SourceRange range);

private:
  graph::Module& module_;
  const diag::Sources& sources_;
  std::unordered_map<uint32_t, uint32_t> files_; // index in the sources → index in the module
};

/// What all functions of a module share.
struct Context {
  const sema::Program& program;
  graph::Module& module;
  Locations& locations;
  const std::vector<std::string>& helperNames; // parallel to Program::helpers; "" = never called
};

/// Fills `to`, which is new and empty.
void buildFunction(Context& context, const sema::Function& from, graph::Function& to);

} // namespace dnn::build
