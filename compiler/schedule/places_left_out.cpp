// Reductions over windows that reach out of what they read: the loops over a window run over the places that exist,
// instead of asking for each of them whether it does.
#include "compiler/graph/affine.h"
#include "compiler/schedule/templates.h"

#include <algorithm>

namespace dnn::schedule {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;

namespace {

/// Whether e is zero where all `outside` have their fill values.
bool vanishes(ExprRef e, const std::vector<ExprRef>& outside) {
  auto argVanishes = [&](ExprRef arg) { return vanishes(arg, outside); };
  switch (e->kind) {
  case ExprKind::Const: return e->number == 0 && e->integer == 0;
  case ExprKind::Access: return std::ranges::find(outside, e) != outside.end() && *e->fill == 0;
  case ExprKind::Cast: return argVanishes(e->args[0]);
  case ExprKind::Apply: break;
  default: return false;
  }
  switch (e->op) {
  case ScalarOp::Mul: return std::ranges::any_of(e->args, argVanishes);
  case ScalarOp::Div: return argVanishes(e->args[0]);
  case ScalarOp::Select: return argVanishes(e->args[1]) && argVanishes(e->args[2]);
  case ScalarOp::Add:
  case ScalarOp::Sub:
  case ScalarOp::Neg: return std::ranges::all_of(e->args, argVanishes);
  default: return false;
  }
}

/// Whether a subscript that may lie outside moves with one dim of the result, other than its columns, and one index of
/// the window: then the window's loop has two ends.
bool hasEnds(const Analysis& analysis, const Op& op, ExprRef subscript, uint32_t column) {
  std::optional<graph::LinearForm> form = graph::linearForm(subscript);
  if (!form || form->terms.size() != 2) {
    return false;
  }
  uint32_t rank = static_cast<uint32_t>(op.dims.size()), own = 0;
  for (const graph::LinearTerm& term : form->terms) {
    if (term.atom->kind != ExprKind::Index || term.atom->index == column ||
        analysis.extentOf(op, term.atom->index) < 2) {
      return false;
    }
    own += term.atom->index < rank ? 1 : 0;
  }
  return own == 1;
}

} // namespace

std::vector<ExprRef> placesLeftOut(const Analysis& analysis, const Op& op, uint32_t column) {
  std::vector<ExprRef> outside;
  bool ends = true;
  graph::RangeAnalysis ranges(op, analysis.function.symbols);
  graph::forEachNode(op.body, [&](ExprRef e) {
    if (e->kind != ExprKind::Access || !e->fill) {
      return;
    }
    const std::vector<Dim>& sizes = op.operands[e->operand]->type.dims;
    bool leaves = false;
    for (size_t d = 0; d < e->args.size(); ++d) {
      if (!ranges.alwaysInRange(e->args[d], sizes[d])) {
        leaves = true;
        ends = ends && hasEnds(analysis, op, e->args[d], column);
      }
    }
    if (leaves) {
      outside.push_back(e);
    }
  });
  auto sameplaces = [&](ExprRef e) {
    return e->args == outside[0]->args &&
           op.operands[e->operand]->type.dims == op.operands[outside[0]->operand]->type.dims;
  };
  bool extremum = op.reduction == Reduction::Max || op.reduction == Reduction::Min;
  bool fits = ends && !outside.empty() && std::ranges::all_of(outside, sameplaces) &&
              ((op.reduction == Reduction::Add && vanishes(op.body, outside)) || (extremum && op.body == outside[0]));
  return fits ? outside : std::vector<ExprRef>{};
}

} // namespace dnn::schedule
