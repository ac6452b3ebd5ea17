#include "compiler/schedule/templates.h"

#include <algorithm>

namespace dnn::schedule {

using graph::Op;
using graph::Value;

namespace {

/// Inputs that v is computed from, each element from those at its own place.
void collectInputs(const Value* v, std::vector<const Value*>& inputs) {
  if (v->def->kind == graph::OpKind::Input) {
    if (std::ranges::find(inputs, v) == inputs.end()) {
      inputs.push_back(v);
    }
  } else if (isElementwise(*v->def)) {
    for (const Value* operand : v->def->operands) {
      if (usesPointwise(*v->def, operand)) {
        collectInputs(operand, inputs);
      }
    }
  }
}

} // namespace

bool comesFromAfar(const Analysis& analysis, const Machine& machine, const Value& v) {
  return !analysis.dependsOnOverwritten(&v) &&
         analysis.elements(v) * byteSize(v.type.dtype) > static_cast<double>(machine.l2Bytes);
}

bool goesFar(const Analysis& analysis, const Machine& machine, const Op& op) {
  double bytes = 0;
  for (const Value* v : analysis.function.returns) {
    bytes += isComputedFrom(v, op) ? analysis.elements(*v) * byteSize(v->type.dtype) : 0;
  }
  return bytes > static_cast<double>(machine.l2Bytes);
}

void fetchPointwise(const Analysis& analysis, const Machine& machine, const Op& op, OpSchedule& how) {
  std::vector<const Value*> inputs;
  for (const Op* user : analysis.function.body.ops) {
    bool epilogue = std::ranges::any_of(user->results, [&](const Value* v) { return isComputedFrom(v, op); });
    for (const Value* operand : epilogue&& isElementwise(*user) ? user->operands : std::vector<Value*>{}) {
      if (!isComputedFrom(operand, op) && usesPointwise(*user, operand)) {
        collectInputs(operand, inputs);
      }
    }
  }
  for (const Value* input : inputs) {
    uint32_t position = analysis.positionOf(*input->def);
    bool known = std::ranges::find(how.fetchedWithTile, position, &FetchWithTile::input) != how.fetchedWithTile.end();
    if (!known && comesFromAfar(analysis, machine, *input)) {
      how.fetchedWithTile.push_back({position});
    }
  }
}

std::vector<const Value*> inputsOf(const Value& v) {
  std::vector<const Value*> inputs;
  collectInputs(&v, inputs);
  return inputs;
}

} // namespace dnn::schedule
