// Results that choose by the residue of a place, as the gradient of a window with stride 2 does: place 2b + 1 is
// computed from other values than place 2b. Each residue is written out, so that nothing is left of the choice.
//
//   for each block of places
//     for each residue                                      unrolled
//       the output's vector, from the values of its residue alone
#include "compiler/graph/affine.h"
#include "compiler/schedule/templates.h"

#include <algorithm>
#include <map>

namespace dnn::schedule {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::OpKind;
using graph::Value;

namespace {

/// Places of a block.
constexpr int64_t mostPlaces = 9;

class Residues {
public:
  Residues(const Analysis& analysis, const Schedule& schedule) : analysis_(analysis), schedule_(schedule) {}

  /// By which number each dim of op's result is divided; 1: not at all.
  std::vector<int64_t> run(const Op& op) {
    moduli_.assign(op.results[0]->type.rank(), 1);
    std::vector<int> own(moduli_.size());
    for (size_t d = 0; d < own.size(); ++d) {
      own[d] = static_cast<int>(d);
    }
    collect(op, own);
    return moduli_;
  }

private:
  const Analysis& analysis_;
  const Schedule& schedule_;
  std::vector<int64_t> moduli_;

  /// `dims`: for each dim of op which dim of the result its index is; -1: another number.
  void collect(const Op& op, const std::vector<int>& dims) {
    if (op.kind != OpKind::Comp) {
      return;
    }
    auto dimOf = [&](ExprRef e) { return e->kind == ExprKind::Index && e->index < dims.size() ? dims[e->index] : -1; };
    graph::forEachNode(op.body, [&](ExprRef e) {
      if (e->kind == ExprKind::Apply && e->op == ScalarOp::Mod && e->args[1]->kind == ExprKind::Const &&
          dimOf(e->args[0]) >= 0 && e->args[1]->integer > 1) {
        int64_t& modulus = moduli_[static_cast<size_t>(dimOf(e->args[0]))];
        modulus = std::max(modulus, e->args[1]->integer);
      }
      if (e->kind == ExprKind::Access && isInlined(analysis_, schedule_, *op.operands[e->operand]->def)) {
        std::vector<int> there;
        std::ranges::transform(e->args, std::back_inserter(there), dimOf);
        collect(*op.operands[e->operand]->def, there);
      }
    });
  }
};

} // namespace

void writeOutResidues(const Analysis& analysis, const Schedule& schedule, const Op& op, Nest& nest) {
  const std::vector<Dim>& dims = op.results[0]->type.dims;
  std::vector<int64_t> moduli = Residues(analysis, schedule).run(op);
  std::vector<std::string> residues, blocks, vectors;
  int64_t places = 1;
  for (uint32_t d = static_cast<uint32_t>(dims.size()); d-- > 0;) {
    std::string loop = "i" + std::to_string(d), next = loop;
    auto split = std::ranges::find(nest.splits, loop, &Split::loop);
    bool vectorized = std::ranges::find(nest.vectorized, loop) != nest.vectorized.end();
    if (split != nest.splits.end() && split->inner == "lane") {
      vectors.push_back(split->outer);
      continue;
    }
    if (split != nest.splits.end() || vectorized) {
      moduli[d] = 1;
    } else if (moduli[d] > 1 && analysis.maxOf(dims[d]) > 1) {
      places *= moduli[d];
      residues.push_back("in_block" + std::to_string(d));
      next = "block" + std::to_string(d);
    }
    if (split == nest.splits.end() && !vectorized) {
      blocks.push_back(next);
    }
  }
  if (residues.empty() || places > mostPlaces || !nest.unrolled.empty() || nest.vectorized.size() != 1) {
    return;
  }
  for (uint32_t d = 0; d < dims.size(); ++d) {
    std::string number = std::to_string(d);
    if (std::ranges::find(residues, "in_block" + number) != residues.end()) {
      bool whole = dims[d].isStatic() && dims[d].constant() % moduli[d] == 0;
      nest.splits.push_back(
          {"i" + number, "block" + number, "in_block" + number, moduli[d], whole ? Tail::RoundUp : Tail::Guard});
    }
  }
  nest.order = nest.vectorized;
  for (const std::vector<std::string>& loops : {residues, vectors, blocks}) {
    nest.order.insert(nest.order.end(), loops.begin(), loops.end());
  }
  nest.unrolled = residues;
}

} // namespace dnn::schedule
