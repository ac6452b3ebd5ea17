#include "compiler/sema/function_builder.h"

#include <algorithm>

#include "compiler/sema/scalar.h"

namespace dnn::sema {

VarId FunctionBuilder::addVar(std::string name, TensorType type) {
  function.vars.push_back({std::move(name), std::move(type)});
  return static_cast<VarId>(function.vars.size() - 1);
}

IndexId FunctionBuilder::addIndex(std::string name, Dim extent, diag::SourceRange where, bool inferred) {
  function.indices.push_back({std::move(name), std::move(extent)});
  origins_.push_back({where, inferred});
  return static_cast<IndexId>(function.indices.size() - 1);
}

VarId FunctionBuilder::emitLet(std::string name, TensorType type, std::vector<IndexId> indices, ScalarPtr value,
                               diag::SourceRange range) {
  VarId var = addVar(std::move(name), std::move(type));
  emit(range, Let{var, std::move(indices), std::move(value)});
  return var;
}

std::vector<Statement> FunctionBuilder::endScan() {
  std::vector<Statement> body = std::move(scans_.back().body);
  scans_.pop_back();
  return body;
}

std::vector<VarId> FunctionBuilder::steps() const {
  std::vector<VarId> steps;
  for (const OpenScan& scan : scans_) {
    steps.push_back(scan.step);
  }
  return steps;
}

bool FunctionBuilder::isRead(VarId var) const {
  return std::ranges::any_of(versions_,
                             [&](const auto& of) { return std::ranges::find(of.second, var) != of.second.end(); });
}

VarId FunctionBuilder::read(PersistentId persistent, const std::string& path, const TensorType& type,
                            diag::SourceRange range) {
  std::vector<VarId>& versions = versions_[persistent];
  if (versions.empty()) {
    VarId var = addVar(path.substr(path.rfind('.') + 1), type);
    emitTo(function.body, range, ReadPersistent{var, persistent});
    versions.push_back(var);
  } else if (updated_.contains(persistent) && updated_[persistent].value == versions.back()) {
    // A tensor that is read after its update is a leaf again: no gradient flows into how the new value was computed.
    std::vector<IndexId> indices;
    std::vector<ScalarPtr> subscripts;
    for (const Dim& d : type.dims) {
      indices.push_back(addIndex("i" + std::to_string(indices.size()), d, range, false));
      subscripts.push_back(makeIndex(indices.back(), range));
    }
    VarId updated = versions.back();
    ScalarPtr value = makeScalar(type.dtype, range, Access{updated, std::move(subscripts), std::nullopt});
    const std::string name = function.vars[updated].name;
    VarId leaf = addVar(name, type);
    emitTo(function.body, range, Let{leaf, std::move(indices), makeApply(ScalarOp::StopGrad, {value}, range)});
    versions.push_back(leaf);
  }
  return versions.back();
}

void FunctionBuilder::update(PersistentId persistent, VarId value, diag::SourceRange range) {
  versions_[persistent].push_back(value);
  auto [known, inserted] = updated_.emplace(persistent, Updated{value, range});
  if (inserted) {
    updateOrder_.push_back(persistent);
  } else {
    known->second.value = value;
  }
}

const std::vector<VarId>& FunctionBuilder::versions(PersistentId persistent) const {
  static const std::vector<VarId> none;
  auto it = versions_.find(persistent);
  return it == versions_.end() ? none : it->second;
}

void FunctionBuilder::finish() {
  for (PersistentId persistent : updateOrder_) {
    const Updated& u = updated_.at(persistent);
    emit(u.range, Update{persistent, u.value});
  }
}

} // namespace dnn::sema
