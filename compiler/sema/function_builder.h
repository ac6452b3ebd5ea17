// One function of the program while it is made.
#pragma once

#include "compiler/sema/program.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace dnn::sema {

class FunctionBuilder {
public:
  /// Where an index got its range; `inferred`: from a bare subscript.
  struct IndexOrigin {
    diag::SourceRange where;
    bool inferred = false;
  };

  Function function;

  VarId addVar(std::string name, TensorType type);
  IndexId addIndex(std::string name, Dim extent, diag::SourceRange where, bool inferred);
  const IndexOrigin& origin(IndexId index) const { return origins_[index]; }
  const TensorType& type(VarId var) const { return function.vars[var].type; }
  Dim extent(IndexId index) const { return function.indices[index].extent; }
  std::span<const Symbol> symbols() const { return function.symbols; }

  template <class Node> void emit(diag::SourceRange range, Node node) {
    emitTo(scans_.empty() ? function.body : scans_.back().body, range, std::move(node));
  }
  void append(Statement stmt) { (scans_.empty() ? function.body : scans_.back().body).push_back(std::move(stmt)); }
  /// Outside of every scan.
  template <class Node> void emitOutside(diag::SourceRange range, Node node) {
    emitTo(function.body, range, std::move(node));
  }
  /// A new variable, defined by var[indices] = value.
  VarId emitLet(std::string name, TensorType type, std::vector<IndexId> indices, ScalarPtr value,
                diag::SourceRange range);

  /// Until endScan, statements go to the body of a scan.
  void beginScan(VarId step, std::vector<VarId> carries) { scans_.push_back({step, std::move(carries), {}}); }
  std::vector<Statement> endScan();
  /// The step numbers of the scans that statements go to now, the outermost first.
  std::vector<VarId> steps() const;
  /// Statements go to a scan, or this is a helper that a scan calls.
  bool inScan() const { return !scans_.empty() || calledInScan; }
  bool calledInScan = false;

  /// The variable that holds the persistent tensor now; read at its first use. After an update it is a new leaf: its
  /// value is the update's, but gradients end there. Read outside of every scan.
  VarId read(PersistentId persistent, const std::string& path, const TensorType& type, diag::SourceRange range);
  /// Later reads give `value`; it is stored when the function ends.
  void update(PersistentId persistent, VarId value, diag::SourceRange range);
  /// Every variable that has held the persistent tensor in this function, oldest first.
  const std::vector<VarId>& versions(PersistentId persistent) const;
  /// Emits the updates, in the order in which the tensors were first updated. Once, at the end.
  void finish();
  const std::vector<PersistentId>& updates() const { return updateOrder_; }

  struct OpenScan {
    VarId step = 0; // variables of the scan have higher numbers, but for what is read from persistent tensors
    std::vector<VarId> carries;
    std::vector<Statement> body; // so far
  };
  /// The scans that statements go to now, the outermost first.
  const std::vector<OpenScan>& openScans() const { return scans_; }
  bool isRead(VarId var) const; ///< the value of a persistent tensor

private:
  template <class Node> static void emitTo(std::vector<Statement>& body, diag::SourceRange range, Node node) {
    Statement& stmt = body.emplace_back();
    stmt.range = range;
    stmt.node.template emplace<Node>(std::move(node));
  }
  std::vector<OpenScan> scans_;
  struct Updated {
    VarId value = 0;
    diag::SourceRange range;
  };
  std::vector<IndexOrigin> origins_;
  std::map<PersistentId, std::vector<VarId>> versions_;
  std::map<PersistentId, Updated> updated_;
  std::vector<PersistentId> updateOrder_;
};

} // namespace dnn::sema
