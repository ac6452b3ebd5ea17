#include "compiler/schedule/analysis.h"

#include "compiler/support/assert.h"

#include <algorithm>

namespace dnn::schedule {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::OpKind;
using graph::Value;

namespace {

double costOfOperator(ScalarOp op) {
  switch (op) {
  case ScalarOp::Exp: return 18;
  case ScalarOp::Log: return 22;
  case ScalarOp::Log1p: return 40;
  case ScalarOp::Expm1:
  case ScalarOp::Tanh:
  case ScalarOp::Erf: return 30;
  case ScalarOp::Sin:
  case ScalarOp::Cos: return 100;
  case ScalarOp::Lgamma:
  case ScalarOp::Digamma:
  case ScalarOp::Pow: return 200;
  case ScalarOp::Sqrt:
  case ScalarOp::Rsqrt:
  case ScalarOp::Div:
  case ScalarOp::Mod: return 6;
  case ScalarOp::StopGrad: return 0;
  case ScalarOp::Min:
  case ScalarOp::Max: return 2;
  case ScalarOp::Neg:
  case ScalarOp::Abs:
  case ScalarOp::Floor:
  case ScalarOp::Ceil:
  case ScalarOp::Round:
  case ScalarOp::Not:
  case ScalarOp::Add:
  case ScalarOp::Sub:
  case ScalarOp::Mul:
  case ScalarOp::Lt:
  case ScalarOp::Le:
  case ScalarOp::Gt:
  case ScalarOp::Ge:
  case ScalarOp::Eq:
  case ScalarOp::Ne:
  case ScalarOp::And:
  case ScalarOp::Or:
  case ScalarOp::Select: return 1;
  }
  DNN_UNREACHABLE("every scalar operator has a cost");
}

} // namespace

double costOf(ExprRef body) {
  double cost = 0;
  graph::forEachNode(body, [&](ExprRef e) {
    switch (e->kind) {
    case ExprKind::Apply: cost += costOfOperator(e->op); break;
    case ExprKind::Draw: cost += 60; break;
    case ExprKind::Access: cost += e->fill ? 3 : 1; break;
    case ExprKind::Cast: cost += 1; break;
    case ExprKind::Const:
    case ExprKind::Index:
    case ExprKind::Extent: break;
    }
  });
  return cost;
}

bool isElementwise(const Op& op) {
  return (op.kind == OpKind::Comp && op.reduction == Reduction::None) || op.kind == OpKind::Reshape ||
         op.kind == OpKind::Concat;
}

std::vector<bool> indicesOf(ExprRef e, size_t domainSize) {
  std::vector<bool> used(domainSize);
  graph::forEachNode(e, [&](ExprRef node) {
    if (node->kind == ExprKind::Index) {
      used[node->index] = true;
    }
  });
  return used;
}

bool isContraction(const Op& op, std::span<const Symbol> symbols) {
  if (op.kind != OpKind::Comp || op.reduction == Reduction::None || isArg(op.reduction)) {
    return false;
  }
  std::vector<std::vector<bool>> missing; // for each access, the dims larger than 1 that it does not depend on
  graph::forEachNode(op.body, [&](ExprRef e) {
    if (e->kind != ExprKind::Access) {
      return;
    }
    std::vector<bool> used = indicesOf(e, op.dims.size() + op.reduced.size());
    std::vector<bool> lacks(op.dims.size());
    for (size_t d = 0; d < op.dims.size(); ++d) {
      lacks[d] = !used[d] && op.dims[d].extent.max(symbols) > 1;
    }
    missing.push_back(std::move(lacks));
  });
  for (const std::vector<bool>& a : missing) {
    for (const std::vector<bool>& b : missing) {
      bool aOnly = false, bOnly = false;
      for (size_t d = 0; d < a.size(); ++d) {
        aOnly |= a[d] && !b[d];
        bOnly |= b[d] && !a[d];
      }
      if (aOnly && bOnly) {
        return true;
      }
    }
  }
  return false;
}

bool isComputedFrom(const Value* v, const Op& op) {
  return v->def == &op || std::ranges::any_of(v->def->operands, [&](const Value* o) { return isComputedFrom(o, op); });
}

Epilogue epilogueOf(const Analysis& analysis, const Op& op) {
  Epilogue epilogue;
  for (const Value* v : analysis.function.returns) {
    bool own = v->def == &op;
    epilogue.unmasked |= byteSize(v->type.dtype) < 4 || (!own && analysis.loadsOf(*v->def) != Loads::Forward);
    if (!own && v->def->body != nullptr && isComputedFrom(v, op)) {
      epilogue.cost += costOf(v->def->body);
      epilogue.overwritten += analysis.isInPlace(v) ? 1 : 0;
    }
  }
  return epilogue;
}

bool usesPointwise(const Op& user, const Value* v) {
  if (user.kind != OpKind::Comp || user.reduction != Reduction::None || user.dims.size() != v->type.rank()) {
    return false;
  }
  for (size_t d = 0; d < user.dims.size(); ++d) {
    if (!(user.dims[d].extent == v->type.dims[d])) {
      return false;
    }
  }
  bool pointwise = true;
  graph::forEachNode(user.body, [&](ExprRef e) {
    if (e->kind != ExprKind::Access || user.operands[e->operand] != v) {
      return;
    }
    for (size_t d = 0; d < e->args.size(); ++d) {
      pointwise &= e->args[d]->kind == ExprKind::Index && e->args[d]->index == d;
    }
  });
  return pointwise;
}

Analysis::Analysis(const Kernel& kernel) : kernel(kernel), function(*kernel.function) {
  std::vector<const Value*> inputs;
  for (const Op* op : function.body.ops) {
    position_.emplace(op, static_cast<uint32_t>(position_.size()));
    if (op->kind == OpKind::Input) {
      inputs.push_back(op->results[0]);
    }
  }
  for (uint32_t i = 0; i < function.returns.size(); ++i) {
    return_.emplace(function.returns[i], i);
  }
  for (const std::optional<uint32_t>& input : kernel.inPlace) {
    if (input) {
      tainted_[inputs.at(*input)] = true;
    }
  }
  for (const Op* op : function.body.ops) {
    for (const Value* operand : op->operands) {
      std::vector<const Op*>& users = users_[operand];
      if (std::ranges::find(users, op) == users.end()) {
        users.push_back(op);
      }
      if (tainted_.contains(operand)) {
        tainted_[op->results[0]] = true;
      }
    }
  }
}

bool Analysis::isInPlace(const Value* v) const {
  auto found = return_.find(v);
  return found != return_.end() && found->second < kernel.inPlace.size() && kernel.inPlace[found->second].has_value();
}

const std::vector<const Op*>& Analysis::usersOf(const Value* v) const {
  static const std::vector<const Op*> none;
  auto found = users_.find(v);
  return found == users_.end() ? none : found->second;
}

const Dim& Analysis::dimOf(const Op& op, uint32_t index) const {
  return index < op.dims.size() ? op.dims[index].extent : op.reduced.at(index - op.dims.size()).extent;
}

int64_t Analysis::extentOf(const Op& op, uint32_t index) const { return maxOf(dimOf(op, index)); }

double Analysis::points(const Op& op) const {
  if (op.kind == OpKind::Reshape || op.kind == OpKind::Concat) {
    return elements(*op.results[0]);
  }
  double count = 1;
  for (uint32_t i = 0; i < op.dims.size() + op.reduced.size(); ++i) {
    count *= static_cast<double>(extentOf(op, i));
  }
  return count;
}

double Analysis::elements(const Value& v) const {
  double count = 1;
  for (const Dim& dim : v.type.dims) {
    count *= static_cast<double>(maxOf(dim));
  }
  return count;
}

Loads Analysis::loadsOf(const Op& op) const {
  if (op.kind != OpKind::Comp) {
    return Loads::Jumping;
  }
  Loads worst = Loads::Forward;
  graph::forEachNode(op.body, [&](ExprRef e) {
    if (e->kind != ExprKind::Access) {
      return;
    }
    worst = std::max(worst, e->fill ? Loads::Jumping : Loads::Forward);
    for (ExprRef subscript : e->args) {
      std::optional<graph::LinearForm> form = graph::linearForm(subscript);
      if (!form || !form->isAffine()) {
        worst = std::max(worst, Loads::Jumping);
      } else if (std::ranges::any_of(form->terms, [](const graph::LinearTerm& term) { return term.factor < 0; })) {
        worst = Loads::Backward;
      }
    }
  });
  for (const Value* v : op.operands) {
    if (isElementwise(*v->def)) {
      worst = std::max(worst, loadsOf(*v->def));
    }
  }
  return worst;
}

Stride Analysis::strideOf(const Op& op, ExprRef access, uint32_t index) const {
  const std::vector<Dim>& dims = op.operands.at(access->operand)->type.dims;
  int64_t step = 0;     // elements
  int64_t elements = 1; // of one step of dimension d
  for (size_t d = dims.size(); d-- > 0;) {
    if (graph::dependsOnIndex(access->args[d], index)) {
      std::optional<graph::LinearForm> form = graph::linearForm(access->args[d]);
      if (!form || access->fill) {
        return Stride::Gather;
      }
      for (const graph::LinearTerm& term : form->terms) {
        if (term.atom->kind != ExprKind::Index && graph::dependsOnIndex(term.atom, index)) {
          return Stride::Gather;
        }
      }
      step += form->factorOf(index) * elements;
    }
    elements *= std::max<int64_t>(maxOf(dims[d]), 1);
  }
  return step == 0 ? Stride::None : step == 1 ? Stride::Unit : Stride::Strided;
}

} // namespace dnn::schedule
