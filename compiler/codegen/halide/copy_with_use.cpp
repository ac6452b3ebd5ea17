#include "compiler/codegen/halide/copy_with_use.h"

#include <optional>
#include <utility>
#include <vector>

namespace dnn::codegen {

namespace {

using namespace Halide::Internal;
using Halide::Expr;

constexpr int32_t lineBytes = 64;

/// for var < extent { body }
struct CopyLoop {
  std::string var;
  Expr extent;
  Stmt body;
  int32_t ahead = 0; ///< points
};

std::optional<CopyLoop> copyLoop(const Stmt& produced, int32_t ahead) {
  std::vector<std::pair<std::string, Expr>> lets;
  Stmt s = produced;
  while (const auto* let = s.as<LetStmt>()) {
    lets.emplace_back(let->name, let->value);
    s = let->body;
  }
  const auto* loop = s.as<For>();
  if (loop == nullptr || loop->for_type != ForType::Serial || !is_const_zero(loop->min)) {
    return std::nullopt;
  }
  Stmt body = loop->body;
  for (auto let = lets.rbegin(); let != lets.rend(); ++let) {
    body = LetStmt::make(let->first, let->second, body);
  }
  return CopyLoop{loop->name, loop->extent, body, ahead};
}

/// Asks for the lines that the copy of a later point loads.
class FetchAhead : public IRVisitor {
public:
  explicit FetchAhead(const CopyLoop& copy) : copy_(copy) { copy.body.accept(this); }
  Stmt stmt;

private:
  using IRVisitor::visit;
  const CopyLoop& copy_;
  int32_t loaded_ = 0; ///< bytes, of this line

  Expr later(const Expr& e) const {
    return substitute(copy_.var, Variable::make(Halide::Int(32), copy_.var) + copy_.ahead, e);
  }

  void visit(const Load* op) override {
    if (loaded_ == 0) {
      const auto* ramp = op->index.as<Ramp>();
      Expr address = Variable::make(Halide::type_of<void*>(), op->name);
      Stmt fetch = Evaluate::make(
          Call::make(op->type.element_of(), Call::prefetch,
                     {address, later(ramp != nullptr ? ramp->base : op->index), Expr(1), Expr(1)}, Call::Intrinsic));
      stmt = stmt.defined() ? Block::make(stmt, fetch) : fetch;
    }
    loaded_ = (loaded_ + op->type.bytes() * op->type.lanes()) % lineBytes;
  }

  void visit(const Let*) override {} // what is computed, not copied

  void visit(const LetStmt* op) override {
    op->body.accept(this);
    if (stmt.defined()) {
      stmt = LetStmt::make(op->name, later(op->value), stmt);
    }
  }
};

class Reads : public IRVisitor {
public:
  explicit Reads(const std::string& name) : name_(name) {}
  bool found = false;
  bool inLoop = false; ///< one of the loops inside

private:
  using IRVisitor::visit;
  const std::string& name_;
  bool looping_ = false;

  void visit(const Load* op) override {
    bool same = op->name == name_;
    found |= same;
    inLoop |= same && looping_;
    IRVisitor::visit(op);
  }

  void visit(const For* op) override {
    bool outer = std::exchange(looping_, true);
    IRVisitor::visit(op);
    looping_ = outer;
  }
};

/// Puts the copy into the loops that may be the first to read it.
class Insert : public IRMutator {
public:
  Insert(std::string name, const CopyLoop& copy) : name_(std::move(name)), copy_(copy) {}
  bool failed = false;

private:
  using IRMutator::visit;
  std::string name_;
  const CopyLoop& copy_;
  Expr first_ = const_true(); ///< nothing has read the copy so far
  bool inLoop_ = false;       ///< in a loop over the points of the copy

  Expr visit(const Load* op) override {
    failed |= op->name == name_ && !inLoop_;
    return IRMutator::visit(op);
  }

  Stmt visit(const LetStmt* op) override {
    Stmt result = IRMutator::visit(op);
    first_ = substitute(op->name, op->value, first_);
    return result;
  }

  Stmt visit(const IfThenElse* op) override {
    Expr before = first_;
    Stmt then = mutate(op->then_case);
    Expr afterThen = std::exchange(first_, before);
    Stmt otherwise = op->else_case.defined() ? mutate(op->else_case) : Stmt();
    first_ = simplify((op->condition && afterThen) || (!op->condition && first_));
    return IfThenElse::make(op->condition, then, otherwise);
  }

  Stmt visit(const For* op) override {
    Reads reads(name_);
    op->body.accept(&reads);
    if (inLoop_ || !reads.found) {
      return IRMutator::visit(op);
    }
    if (op->for_type != ForType::Serial) {
      failed = true;
      return op;
    }
    Expr before = first_;
    Stmt body;
    if (is_const_zero(op->min) && equal(op->extent, copy_.extent) && !reads.inLoop) {
      inLoop_ = true;
      body = mutate(op->body);
      inLoop_ = false;
      if (!is_const_zero(before)) {
        Stmt copy = substitute(copy_.var, Variable::make(Halide::Int(32), op->name), copied());
        body = Block::make(is_const_one(before) ? copy : IfThenElse::make(before, copy), body);
      }
    } else {
      first_ = simplify(before && Variable::make(Halide::Int(32), op->name) == op->min);
      body = mutate(op->body);
      failed |= !is_const_zero(first_); // the body may not have read
    }
    first_ = simplify(before && op->extent <= 0);
    return For::make(op->name, op->min, op->extent, op->for_type, op->partition_policy, op->device_api, body);
  }

  Stmt copied() const {
    Stmt ahead = FetchAhead(copy_).stmt;
    return ahead.defined() ? Block::make(ahead, copy_.body) : copy_.body;
  }
};

} // namespace

Stmt CopyWithUse::visit(const Block* op) {
  const auto* producer = op->first.as<ProducerConsumer>();
  if (producer == nullptr || !producer->is_producer || !ahead_.contains(producer->name)) {
    return IRMutator::visit(op);
  }
  if (std::optional<CopyLoop> copy = copyLoop(producer->body, ahead_.at(producer->name))) {
    Insert insert(producer->name, *copy);
    Stmt rest = insert.mutate(op->rest);
    if (!insert.failed) {
      return rest;
    }
  }
  return IRMutator::visit(op);
}

} // namespace dnn::codegen
