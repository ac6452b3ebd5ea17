// Tensors side by side: where vectors run along the dim in which a concatenation goes from one operand to the next,
// each vector is written out. It then lies in one operand and reads it contiguously; a loop of vectors would have to
// choose for every lane.
#include "compiler/schedule/templates.h"

#include <algorithm>
#include <numeric>

namespace dnn::schedule {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::OpKind;
using graph::Value;

namespace {

constexpr int64_t mostVectors = 64;
/// Vector instructions that are written out.
constexpr double mostInstructions = 1024;
constexpr int64_t fewestLanes = 4;

class Joined {
public:
  Joined(const Analysis& analysis, const Schedule& schedule) : analysis_(analysis), schedule_(schedule) {}

  /// The greatest size that divides all operands of concatenations along dim d of op's result, those inlined into it
  /// included; 0: there are none, 1 also where a size is not known.
  int64_t piece(const Op& op, uint32_t d) const {
    int64_t result = 0;
    if (op.kind == OpKind::Concat) {
      for (const Value* operand : op.operands) {
        const Dim& size = operand->type.dims[d];
        result = op.axis != d ? result : size.isStatic() ? std::gcd(result, size.constant()) : 1;
        result = std::gcd(result, ofOperand(operand, d));
      }
    } else if (op.kind == OpKind::Comp) {
      graph::forEachNode(op.body, [&](ExprRef e) {
        for (uint32_t k = 0; e->kind == ExprKind::Access && k < e->args.size(); ++k) {
          if (e->args[k]->kind == ExprKind::Index && e->args[k]->index == d) {
            result = std::gcd(result, ofOperand(op.operands[e->operand], k));
          }
        }
      });
    }
    return result;
  }

private:
  const Analysis& analysis_;
  const Schedule& schedule_;

  int64_t ofOperand(const Value* v, uint32_t d) const {
    return isInlined(analysis_, schedule_, *v->def) ? piece(*v->def, d) : 0;
  }
};

} // namespace

void writeOutJoined(const Analysis& analysis, const Machine& machine, const Schedule& schedule, const Op& op,
                    Nest& nest) {
  const std::vector<Dim>& dims = op.results[0]->type.dims;
  uint32_t column = static_cast<uint32_t>(dims.size());
  while (column-- > 0 && analysis.maxOf(dims[column]) == 1) {
  }
  if (column >= dims.size() || nest.vectorized.empty()) {
    return;
  }
  int64_t piece = Joined(analysis, schedule).piece(op, column);
  int64_t lanes = machine.lanes(std::max(byteSize(op.results[0]->type.dtype), 4));
  while (piece > 0 && piece % lanes != 0) {
    lanes /= 2;
  }
  std::string loop = "i" + std::to_string(column);
  bool alone = std::ranges::any_of(nest.splits, [&](const Split& s) { return s.loop == loop && s.outer == "task"; });
  if (piece == 0 || alone || lanes < fewestLanes) {
    return;
  }
  int64_t vectors = dims[column].constant() / lanes;
  double each = op.kind == OpKind::Comp ? costOf(op.body) : 2;
  if (vectors > mostVectors || static_cast<double>(vectors) * each > mostInstructions) {
    return;
  }
  std::erase_if(nest.splits, [&](const Split& s) { return s.loop == loop; });
  nest.splits.push_back({loop, "vector", "lane", lanes, Tail::RoundUp});
  nest.vectorized = {"lane"};
  nest.unrolled = {"vector"};
}

} // namespace dnn::schedule
