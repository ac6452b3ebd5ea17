// `until done`, where each row has a bool of its own: rows end one by one. A row that has ended keeps its carries and
// emits zeros; the scan ends with the last row. So what a row gives depends on no other one.
#include "compiler/sema/instantiator.h"
#include "compiler/sema/scan.h"

namespace dnn::sema {

namespace {

ScalarPtr elementOf(VarId var, DType dtype, const std::vector<IndexId>& indices, SourceRange range) {
  std::vector<ScalarPtr> subscripts;
  for (IndexId index : indices) {
    subscripts.push_back(makeIndex(index, range));
  }
  return makeScalar(dtype, range, Access{var, std::move(subscripts), std::nullopt});
}

ScalarPtr zeroOf(DType dtype, SourceRange range) {
  if (isFloat(dtype)) {
    return makeNumber(0, dtype, range);
  }
  return dtype == DType::Bool ? makeBool(false, range) : makeInteger(0, dtype, range);
}

} // namespace

bool Instantiator::endRows(Scan& node, OpenScan& open) {
  SourceRange range = open.until->where;
  const TensorType rows = out_->type(open.until->value);
  auto hasRows = [&](const std::string& what, VarId var) {
    const TensorType type = out_->type(var);
    bool has = !type.dims.empty() && type.dims[0] == rows.dims[0];
    if (!has) {
      error<DiagId::until_of_other_rows>(range, str(rows), what, str(type))
          .hint("say which of the rows count, if they are to end together: `all[…]` or `any[…]`");
    }
    return has;
  };
  bool ok = true;
  for (size_t i = 0; i < node.carries.size(); ++i) {
    ok &= hasRows("the carry `" + open.scan.carries[i].name.text + "`", node.carries[i].value);
  }
  for (VarId emitted : open.emits) {
    ok &= hasRows("what is emitted", emitted);
  }
  if (!ok) {
    return false;
  }
  VarId ended = out_->addVar("ended", rows);
  /// `kept`, or zero, in rows that have ended before.
  auto unlessEnded = [&](VarId value, std::optional<VarId> kept, TensorType type) {
    std::vector<IndexId> indices = freshIndices(type.dims, range);
    ScalarPtr instead = kept ? elementOf(*kept, type.dtype, indices, range) : zeroOf(type.dtype, range);
    ScalarPtr chosen = makeApply(
        ScalarOp::Select,
        {elementOf(ended, DType::Bool, {indices[0]}, range), instead, elementOf(value, type.dtype, indices, range)},
        range);
    return out_->emitLet(out_->function.vars[value].name, std::move(type), std::move(indices), chosen, range);
  };
  for (Scan::Carry& carry : node.carries) {
    carry.next = unlessEnded(carry.next, carry.value, out_->type(carry.value));
  }
  for (VarId& emitted : open.emits) {
    emitted = unlessEnded(emitted, std::nullopt, out_->type(emitted));
  }
  std::vector<IndexId> row = freshIndices(rows.dims, range);
  ScalarPtr either = makeApply(
      ScalarOp::Or, {elementOf(ended, DType::Bool, row, range), elementOf(open.until->value, DType::Bool, row, range)},
      range);
  VarId next = out_->emitLet("ended", rows, row, either, range);
  std::vector<IndexId> each = freshIndices(rows.dims, range);
  ScalarPtr all = makeScalar(DType::Bool, range,
                             Reduce{Reduce::Kind::All, each, nullptr, elementOf(next, DType::Bool, each, range)});
  open.until->value = out_->emitLet("until", TensorType{DType::Bool, {}, std::nullopt}, {}, all, range);
  node.untilRows = true;
  node.carries.push_back({0, ended, next, 0});
  return true;
}

void Instantiator::beginRows(Scan& node, SourceRange range) {
  Scan::Carry& ended = node.carries.back();
  const TensorType rows = out_->type(ended.value);
  std::vector<IndexId> indices = freshIndices(rows.dims, range);
  ended.initial = out_->emitLet("ended", rows, indices, makeBool(false, range), range);
}

} // namespace dnn::sema
