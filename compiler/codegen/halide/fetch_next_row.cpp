#include "compiler/codegen/halide/fetch_next_row.h"

namespace dnn::codegen {

namespace {

using namespace Halide::Internal;
using Halide::Expr;

using Rows = std::vector<std::pair<std::string, int32_t>>;

constexpr int32_t lineBytesOfRow = 64;

/// The fetches that belong before a value is computed.
class NextRow : public IRVisitor {
public:
  explicit NextRow(const Rows& rows) : rows_(rows) {}
  Stmt fetches;

private:
  using IRVisitor::visit;
  const Rows& rows_;
  std::vector<std::pair<std::string, Expr>> lets_; ///< around this place, within the value

  void visit(const Let* op) override {
    op->value.accept(this);
    lets_.emplace_back(op->name, op->value);
    op->body.accept(this);
    lets_.pop_back();
  }

  void visit(const Load* op) override {
    IRVisitor::visit(op);
    const auto* ramp = op->index.as<Ramp>();
    for (const auto& [buffer, pitch] : rows_) {
      if (op->name != buffer || ramp == nullptr || !is_const_one(ramp->stride)) {
        continue;
      }
      Expr first = ramp->base;
      for (auto let = lets_.rbegin(); let != lets_.rend(); ++let) {
        first = substitute(let->first, let->second, first);
      }
      int32_t inLine = lineBytesOfRow / op->type.bytes();
      for (int32_t at = 0; at < op->type.lanes(); at += inLine) {
        Expr address = Variable::make(Halide::type_of<void*>(), buffer);
        Expr offset = Halide::cast<int64_t>(first + (pitch + at)) * Expr(static_cast<int64_t>(op->type.bytes()));
        Stmt fetch = Evaluate::make(Call::make(Halide::Int(32), fetchToRead, {address, offset}, Call::Extern));
        fetches = fetches.defined() ? Block::make(fetches, fetch) : fetch;
      }
    }
  }
};

class InsertNextRow : public IRMutator {
public:
  explicit InsertNextRow(const Rows& rows) : rows_(rows) {}

private:
  using IRMutator::visit;
  const Rows& rows_;

  Stmt before(const Expr& value, const Stmt& s) const {
    NextRow next(rows_);
    value.accept(&next);
    return next.fetches.defined() ? Block::make(next.fetches, s) : s;
  }
  Stmt visit(const Store* op) override { return before(op->value, op); }
  Stmt visit(const LetStmt* op) override { return before(op->value, IRMutator::visit(op)); }
};

} // namespace

Stmt FetchNextRow::visit(const ProducerConsumer* op) {
  auto stage = stages_.find(op->name);
  if (!op->is_producer || stage == stages_.end()) {
    return IRMutator::visit(op);
  }
  return ProducerConsumer::make(op->name, true, InsertNextRow(stage->second).mutate(op->body));
}

} // namespace dnn::codegen
