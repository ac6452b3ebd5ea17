#include "compiler/schedule/row_form.h"

#include "compiler/schedule/analysis.h"

#include <algorithm>
#include <unordered_set>

namespace dnn::schedule {

using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::OpKind;
using graph::Value;

namespace {

/// Every access to v has the op's first index alone as its first subscript.
bool readsOwnRow(const Op& op, const Value* v) {
  bool own = v->type.rank() > 0;
  graph::forEachNode(op.body, [&](ExprRef e) {
    if (e->kind == ExprKind::Access && op.operands[e->operand] == v) {
      own = own && e->args[0]->kind == ExprKind::Index && e->args[0]->index == 0;
    }
  });
  return own;
}

bool isSum(const Op& op) {
  return op.reduction != Reduction::None && !isArg(op.reduction);
}

} // namespace

std::optional<RowForm> rowForm(std::span<Op* const> ops, std::span<Value* const> results,
                               std::span<const Symbol> symbols) {
  constexpr int64_t fewest = 8192; // elements: less than that stays in the first cache anyway
  RowForm form;
  std::unordered_set<const Value*> rowValues, scalars;
  bool reduces = false, large = false;
  for (const Op* op : ops) {
    if (op->kind == OpKind::Input || op->kind == OpKind::Env) {
      continue;
    }
    if (op->kind != OpKind::Comp || op->reduced.size() > 1 || (!op->reduced.empty() && !isSum(*op))) {
      return std::nullopt;
    }
    bool inRows = !op->dims.empty();
    if (inRows && form.inRows.empty()) {
      form.rows = op->dims[0].extent;
    }
    bool rowsFirst = inRows ? op->dims[0].extent == form.rows && op->dims.size() + op->reduced.size() <= 2
                            : op->reduced.empty() || op->reduced[0].extent == form.rows;
    if (!rowsFirst) {
      return std::nullopt;
    }
    for (const Value* v : op->operands) {
      bool ofRow = rowValues.contains(v);
      if ((ofRow && (!readsOwnRow(*op, v) || (!inRows && op->reduced.empty()))) || (inRows && scalars.contains(v))) {
        return std::nullopt;
      }
    }
    (inRows ? form.inRows : form.after).push_back(op);
    (inRows ? rowValues : scalars).insert(op->results[0]);
    reduces |= inRows && !op->reduced.empty();
  }
  int64_t rows = form.rows.max(symbols);
  // What leaves something behind a row shares its loop. Halide 21 lets two do so, but not three that read one buffer.
  constexpr size_t mostLoops = 2;
  size_t loops = static_cast<size_t>(std::ranges::count_if(form.after, [](const Op* op) { return isSum(*op); }));
  std::vector<const Value*> distinct; // outputs of equal dimensions are written by one loop nest
  for (const Value* v : results) {
    bool same = std::ranges::any_of(distinct, [&](const Value* d) { return d->type.dims == v->type.dims; });
    if (rowValues.contains(v) && !same) {
      distinct.push_back(v);
    }
  }
  if (loops + distinct.size() > mostLoops) {
    return std::nullopt;
  }
  for (const Value* v : results) {
    bool columns = v->type.rank() == 2;
    if (rowValues.contains(v) && v->def->reduction != Reduction::None) {
      return std::nullopt; // would need a buffer of its own beside the one in the row
    }
    large |= rowValues.contains(v) && columns && rows * v->type.dims[1].max(symbols) >= fewest;
  }
  if (!reduces || !large || rows < 2) {
    return std::nullopt;
  }
  return form;
}

bool readsByRows(const RowForm& form, const Value* input) {
  if (input->type.rank() != 2 || !(input->type.dims[0] == form.rows)) {
    return false;
  }
  auto reads = [](const Op* op, const Value* v) { return std::ranges::find(op->operands, v) != op->operands.end(); };
  for (const Op* op : form.after) {
    if (reads(op, input) && (op->reduced.empty() || !readsOwnRow(*op, input))) {
      return false;
    }
  }
  // Reductions have buffers, so they are over before the first element of the row is written. What has no buffer is
  // computed again while it is written, so there only the element itself may be read.
  std::unordered_set<const Value*> current = {input};
  for (const Op* op : form.inRows) {
    for (const Value* v : op->operands) {
      if (!current.contains(v)) {
        continue;
      }
      if (op->reduction == Reduction::None ? !usesPointwise(*op, v) : !readsOwnRow(*op, v)) {
        return false;
      }
      if (op->reduction == Reduction::None) {
        current.insert(op->results[0]);
      }
    }
  }
  return true;
}

} // namespace dnn::schedule
