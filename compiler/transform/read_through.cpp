#include "compiler/transform/read_through.h"

#include "compiler/algebra/reindex.h"
#include "compiler/support/assert.h"

#include <algorithm>

namespace dnn::transform {

using algebra::Builder;
using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::OpKind;
using graph::Value;

bool isElementwise(const Op& op) { return op.kind == OpKind::Comp && op.reduction == Reduction::None; }

std::vector<ExprRef> accessesOf(const Op& user, const Value& value) {
  std::vector<ExprRef> found;
  graph::forEachNode(user.body, [&](ExprRef e) {
    if (e->kind == ExprKind::Access && user.operands[e->operand] == &value) {
      found.push_back(e);
    }
  });
  return found;
}

std::optional<ReadThrough> readThrough(const Builder& b, const Op& user, const Value& value,
                                       std::span<const Symbol> symbols) {
  const Op& def = *value.def;
  DNN_ASSERT(isElementwise(def), "only elementwise comps are read through");
  for (ExprRef access : accessesOf(user, value)) {
    if (access->fill) {
      return std::nullopt;
    }
  }
  ReadThrough result;
  result.operands = user.operands;
  ExprRef body = algebra::moveOperands(b, def.body, def.operands, result.operands);
  graph::IndexDomain domain = graph::domainOf(user, symbols);
  for (size_t i = domain.operands.size(); i < result.operands.size(); ++i) {
    domain.operands.push_back(result.operands[i]->type);
  }
  graph::RangeAnalysis ranges(domain);
  bool inRange = true;
  auto check = [&](ExprRef e) {
    graph::forEachNode(e, [&](ExprRef node) {
      if (node->kind == ExprKind::Access && !node->fill) {
        const TensorType& type = result.operands[node->operand]->type;
        for (size_t d = 0; d < node->args.size(); ++d) {
          inRange = inRange && ranges.alwaysInRange(node->args[d], type.dims[d]);
        }
      }
    });
  };
  result.body = algebra::rebuild(b, user.body, [&](ExprRef e, const std::vector<ExprRef>& args) -> ExprRef {
    if (e->kind != ExprKind::Access || user.operands[e->operand] != &value) {
      return nullptr;
    }
    ExprRef element = algebra::substituteIndices(b, body, args);
    check(element);
    return element;
  });
  return inRange ? std::optional(std::move(result)) : std::nullopt;
}

} // namespace dnn::transform
