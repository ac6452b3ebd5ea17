// Holds every name of a file against what is in scope where it stands: what is defined nowhere, twice, behind its use
// or never used. What the names mean is seen when they are instantiated.
#pragma once

#include "compiler/ast/ast.h"
#include "compiler/diag/diagnostics.h"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace dnn::sema {

using diag::DiagId;
using diag::SourceRange;

class NameChecker {
public:
  NameChecker(const std::set<std::string>& visible, diag::Diagnostics& diags) : diags_(diags) {
    scopes_.push_back(visible);
  }

  void file(const ast::File& file);

private:
  void bind(const std::string& name) { scopes_.back().insert(name); }
  void use(const ast::Name& name);
  /// The reducer over this index that stands left of the present operand: `sum[k] a[k] + b[k]`; or null.
  const ast::Reduce* endedOver(const std::string& index) const;
  /// Where a statement that is still to come, of the present block or of one around it, defines the name; or null.
  const ast::Name* definedLater(const std::string& name) const;
  void distinct(const std::vector<const ast::Name*>& names);
  /// Names of a type that nothing has bound become dimensions of the definition.
  void bindDims(const ast::Type& type);
  void useType(const ast::Type& type);
  void definition(const ast::Signature& signature, const ast::Block& body, const ast::VjpRule* vjp);
  void block(const ast::Block& block, std::set<std::string> names);
  void bindIndices(const std::vector<ast::IndexBinder>& binders);
  void statement(const ast::Let& let);
  void statement(const ast::Const& constant);
  void statement(const ast::Param& param);
  void statement(const ast::State& state);
  void statement(const ast::Update& update);
  void statement(const ast::Require& require) { expression(*require.condition); }
  void statement(const ast::When& when);
  void statement(const ast::Return& result) { all(result.values); }
  void statement(const ast::Next& next);
  void statement(const ast::Emit& emit) { all(emit.values); }
  void statement(const ast::Until& until) { expression(*until.condition); }
  /// An argument of a source. `unit = char`, `missing = mean`, `categories("column")` are words that a source knows.
  void sourceArgument(const ast::Arg& arg);
  void statement(const ast::Data& data);
  void statement(const ast::Opt& opt);
  void fields(const std::vector<ast::Name>& fields, std::set<std::string>& names);
  void statement(const ast::Step& step);
  void statement(const ast::Whole& whole);
  void statement(const ast::Phase& phase) { block(phase.body, {}); }
  void statement(const ast::Track& track);
  void statement(const ast::Init& init) { expression(*init.target); }
  void statement(const ast::Sweep& sweep);
  void statement(const ast::Eval& eval);
  void statement(const ast::Predict& predict);
  void statement(const ast::Minimize& minimize);
  void statement(const ast::Log& log);
  void statement(const ast::Run& run);
  void statement(const ast::Checkpoint& checkpoint);
  void statement(const ast::LocalFn& local);
  void all(const std::vector<ast::ExprPtr>& items);
  void expression(const ast::Expr& e);
  /// `names`: how many take its values apart; 0 for a scan whose value is what it emits.
  void scan(const ast::Scan& scan, size_t names);

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
  bool inResult_ = false; // in the type of a definition's result
  std::set<std::string> used_;
  std::vector<const ast::Name*> declared_;     // parameters
  std::map<std::string, SourceRange> updated_; // states, where first
};

} // namespace dnn::sema
