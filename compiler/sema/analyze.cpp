#include "compiler/sema/core_functions.h"
#include "compiler/sema/instantiator.h"
#include "compiler/sema/names.h"
#include "compiler/sema/suggest.h"

namespace dnn::sema {

namespace {

/// The train block to compile. Null: there is none, or an error was reported.
const ast::TrainDecl* chooseTrain(const Files& files, const std::string& wanted, diag::Diagnostics& diags) {
  std::vector<const ast::TrainDecl*> trains;
  std::vector<std::string> names;
  for (const auto& decl : files.user.front()->decls) {
    if (auto* train = std::get_if<ast::TrainDecl>(&decl->node)) {
      trains.push_back(train);
      names.push_back(train->name.text);
    }
  }
  if (!wanted.empty()) {
    for (const ast::TrainDecl* train : trains) {
      if (train->name.text == wanted) {
        return train;
      }
    }
    SourceRange nowhere;
    diags.report<DiagId::unknown_program>(nowhere, wanted).hint(didYouMean(wanted, names));
    return nullptr;
  }
  if (trains.size() > 1) {
    diags.report<DiagId::several_programs>(trains[1]->name.range, trains.size())
        .note(trains[0]->name.range, "the first one is here")
        .hint("choose one: `--program " + names[0] + "`");
    return nullptr;
  }
  return trains.empty() ? nullptr : trains[0];
}

} // namespace

Analysis analyze(const Files& files, const Options& options, DataProbe& probe, diag::Diagnostics& diags) {
  std::set<std::string> visible;
  for (const std::string& name : coreNames()) {
    visible.insert(name);
  }
  checkNames(files.library, visible, diags);
  for (const ast::File* file : files.library) {
    collectDefinitions(*file, visible);
  }
  visible.insert(files.libraryNames.begin(), files.libraryNames.end());
  checkNames(files.user, visible, diags);
  if (diags.hasErrors() || files.user.empty()) {
    return {};
  }

  Instantiator instantiator(options, probe, diags);
  ScopePtr library = instantiator.fileScope(files.library, nullptr);
  ScopePtr user = instantiator.fileScope(files.user, library);
  instantiator.checkConstants(user);
  const ast::TrainDecl* train = chooseTrain(files, options.program, diags);
  if (!train) {
    return {};
  }
  Analysis out;
  out.program = instantiator.instantiate(*train, user);
  return out;
}

} // namespace dnn::sema
