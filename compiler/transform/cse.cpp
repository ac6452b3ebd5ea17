// Merges ops that compute the same value, names of indices apart. The first one stays: it dominates. In the body of a
// scan, what is known outside is known too.
#include "compiler/transform/pass_manager.h"

#include <map>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace dnn::transform {

namespace {

using graph::Op;
using graph::OpKind;

/// What makes two ops compute the same. Bodies are hash-consed in their module: equal ones are the same pointer.
using Key = std::tuple<OpKind, std::vector<const graph::Value*>, std::vector<Dim>, std::vector<Dim>, Reduction,
                       graph::ExprRef, std::vector<graph::ExprRef>, std::string, uint32_t, std::vector<Dim>, DType>;

struct DimLess {
  bool operator()(const Dim& a, const Dim& b) const {
    return std::tuple(a.constant(), a.terms()) < std::tuple(b.constant(), b.terms());
  }
};

bool isPure(OpKind kind) {
  switch (kind) {
  case OpKind::Param:
  case OpKind::State:
  case OpKind::Env:
  case OpKind::Comp:
  case OpKind::Scatter:
  case OpKind::Reshape:
  case OpKind::Concat: return true;
  case OpKind::Input:    // one each
  case OpKind::Distinct: // one for each table
  case OpKind::CallVjp:
  case OpKind::Grad:
  case OpKind::Update:
  case OpKind::Output:
  case OpKind::Group:
  case OpKind::Scan:
  case OpKind::Counter:
  case OpKind::Carry:
  case OpKind::Slice:
  case OpKind::Next:
  case OpKind::Emit: return false;
  }
  return false;
}

std::vector<Dim> extents(const std::vector<graph::IndexVar>& vars) {
  std::vector<Dim> dims;
  for (const graph::IndexVar& var : vars) {
    dims.push_back(var.extent);
  }
  return dims;
}

Key keyOf(const Op& op) {
  const TensorType& type = op.results[0]->type;
  std::vector<Dim> shape = type.dims;
  shape.push_back(type.bound.value_or(Dim(-1)));
  return {op.kind,
          {op.operands.begin(), op.operands.end()},
          extents(op.dims),
          extents(op.reduced),
          op.reduction,
          op.body,
          op.at,
          op.symbol,
          op.axis,
          std::move(shape),
          type.dtype};
}

struct KeyLess {
  static bool less(const std::vector<Dim>& a, const std::vector<Dim>& b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), DimLess());
  }
  bool operator()(const Key& a, const Key& b) const {
    auto plain = [](const Key& k) {
      return std::tie(std::get<0>(k), std::get<1>(k), std::get<4>(k), std::get<5>(k), std::get<6>(k), std::get<7>(k),
                      std::get<8>(k), std::get<10>(k));
    };
    if (plain(a) != plain(b)) {
      return plain(a) < plain(b);
    }
    for (auto dims : {std::pair(&std::get<2>(a), &std::get<2>(b)), std::pair(&std::get<3>(a), &std::get<3>(b)),
                      std::pair(&std::get<9>(a), &std::get<9>(b))}) {
      if (*dims.first != *dims.second) {
        return less(*dims.first, *dims.second);
      }
    }
    return false;
  }
};

using Known = std::map<Key, graph::Value*, KeyLess>;

using Replaced = std::unordered_map<const graph::Value*, graph::Value*>;

/// The op uses what stands for its operands now. Uses come behind definitions, so each op is looked at once.
void rewire(graph::Function& function, Op& op, const Replaced& replaced) {
  bool changed = false;
  for (graph::Value*& operand : op.operands) {
    if (auto found = replaced.find(operand); found != replaced.end()) {
      operand = found->second;
      changed = true;
    }
  }
  if (changed && op.body != nullptr) {
    graph::normalizeOperands(function.module.exprs, op); // two operands may be one now
  }
}

void cseIn(graph::Function& function, graph::Block& block, Known& known, Replaced& replaced) {
  std::vector<Op*> kept;
  for (Op* op : block.ops) {
    rewire(function, *op, replaced);
    if (op->kind == OpKind::Scan) {
      Known inside = known;
      cseIn(function, *op->body_block, inside, replaced);
    }
    if (!isPure(op->kind)) {
      kept.push_back(op);
      continue;
    }
    auto [entry, inserted] = known.try_emplace(keyOf(*op), op->results[0]);
    if (inserted) {
      kept.push_back(op);
      continue;
    }
    if (entry->second->name.empty()) {
      entry->second->name = op->results[0]->name;
    }
    replaced[op->results[0]] = entry->second;
  }
  block.ops = std::move(kept);
}

} // namespace

Result<Changed> cse(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    Known known;
    Replaced replaced;
    cseIn(*function, function->body, known, replaced);
    if (replaced.empty()) {
      continue;
    }
    for (graph::Value*& value : function->returns) {
      auto found = replaced.find(value);
      value = found == replaced.end() ? value : found->second;
    }
    graph::refreshRegions(*function); // scans may capture less
    changed = Changed::Yes;
  }
  return changed;
}

} // namespace dnn::transform
