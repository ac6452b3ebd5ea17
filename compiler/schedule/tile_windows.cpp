#include "compiler/schedule/tile_windows.h"

#include <algorithm>

namespace dnn::schedule {

using graph::ExprKind;
using graph::Op;
using graph::Value;

namespace {

/// Each step of a search for a position repeats the expression of the best value before.
constexpr int64_t mostPlaces = 9, mostPlacesOfPosition = 4;

} // namespace

std::optional<std::vector<int64_t>> tileWindows(const Op& op, const Value* v) {
  bool plain = op.kind == graph::OpKind::Comp && op.reduction != Reduction::None && op.body->kind == ExprKind::Access &&
               op.operands[op.body->operand] == v && !op.body->fill && op.dims.size() == v->type.rank();
  if (!plain) {
    return std::nullopt;
  }
  auto rank = static_cast<uint32_t>(op.dims.size());
  std::vector<int64_t> windows(rank, 1);
  std::vector<bool> used(op.reduced.size());
  int64_t places = 1;
  for (uint32_t d = 0; d < rank; ++d) {
    std::optional<graph::LinearForm> form = graph::linearForm(op.body->args[d]);
    if (!form || !(form->constant == Dim(0)) || !form->isAffine() || form->terms.empty()) {
      return std::nullopt;
    }
    windows[d] = form->factorOf(d);
    bool whole = windows[d] == 1 && form->terms.size() == 1 && op.dims[d].extent == v->type.dims[d];
    if (whole) {
      continue;
    }
    for (const graph::LinearTerm& term : form->terms) {
      if (term.atom->index == d) {
        continue;
      }
      uint32_t q = term.atom->index - rank; // wraps around for another dim
      if (term.atom->index < rank || term.factor != 1 || used[q] || !op.reduced[q].extent.isStatic() ||
          op.reduced[q].extent.constant() > windows[d]) {
        return std::nullopt;
      }
      used[q] = true;
      places *= op.reduced[q].extent.constant();
    }
    if (form->terms.size() != 2 || windows[d] < 2 || !op.dims[d].extent.isStatic() || !v->type.dims[d].isStatic()) {
      return std::nullopt;
    }
  }
  bool fits = std::ranges::find(used, false) == used.end() && places <= (isArg(op.reduction) ? mostPlacesOfPosition : mostPlaces);
  return fits ? std::optional(windows) : std::nullopt;
}

} // namespace dnn::schedule
