#include "compiler/codegen/halide/sum_while_made.h"

#include "compiler/codegen/halide/accessed_buffers.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace dnn::codegen {

namespace {

using namespace Halide::Internal;
using Halide::Expr;

using Definitions = std::vector<std::pair<std::string, Expr>>;

template <class Code> Code withDefinitions(const Definitions& lets, Code code) {
  for (auto let = lets.rbegin(); let != lets.rend(); ++let) {
    code = substitute(let->first, let->second, code);
  }
  return code;
}

/// for name < extent { body }
struct Loop {
  std::string name;
  Expr extent;
  Stmt body;
};

/// Takes out of a statement what reduces blocks: the buffer of the lanes, their initial values and the loop. What is
/// left over of the last block stays.
class TakeOut : public IRMutator {
public:
  explicit TakeOut(std::string lanes) : lanes_(std::move(lanes)) {}
  Stmt buffer;
  std::vector<Stmt> before;
  std::optional<Loop> loop; ///< its body names nothing that is defined in the statement

private:
  using IRMutator::visit;
  std::string lanes_;
  Definitions lets_; ///< around this place
  bool always_ = true;

  Stmt visit(const Allocate* op) override {
    if (op->name != lanes_) {
      return IRMutator::visit(op);
    }
    buffer = op;
    return mutate(op->body);
  }
  Stmt visit(const LetStmt* op) override {
    lets_.emplace_back(op->name, op->value);
    Stmt body = mutate(op->body);
    lets_.pop_back();
    return LetStmt::make(op->name, op->value, body);
  }
  Stmt visit(const For* op) override { return sometimes(op); }
  Stmt visit(const IfThenElse* op) override { return sometimes(op); }
  template <class Node> Stmt sometimes(const Node* op) {
    bool always = std::exchange(always_, false);
    Stmt s = IRMutator::visit(op);
    always_ = always;
    return s;
  }
  Stmt visit(const ProducerConsumer* op) override {
    if (!op->is_producer || op->name != lanes_ || !always_) {
      return IRMutator::visit(op);
    }
    Stmt rest = restOf(op->body);
    return ProducerConsumer::make(op->name, true, rest.defined() ? rest : Evaluate::make(0));
  }

  /// Undefined if nothing is left.
  Stmt restOf(const Stmt& s) {
    if (const auto* block = s.as<Block>()) {
      Stmt first = restOf(block->first), rest = restOf(block->rest);
      return first.defined() && rest.defined() ? Block::make(first, rest) : first.defined() ? first : rest;
    }
    if (const auto* let = s.as<LetStmt>()) {
      lets_.emplace_back(let->name, let->value);
      Stmt body = restOf(let->body);
      lets_.pop_back();
      return body.defined() ? LetStmt::make(let->name, let->value, body) : body;
    }
    if (loop) {
      return s;
    }
    const auto* found = s.as<For>();
    if (found != nullptr && found->for_type == ForType::Serial && is_const_zero(found->min)) {
      loop = {found->name, withDefinitions(lets_, found->extent), withDefinitions(lets_, found->body)};
    } else {
      before.push_back(withDefinitions(lets_, s));
    }
    return {};
  }
};

/// The elements of a buffer that vectors load or store, counted from the block's first one.
class ElementsOfBlock : public IRVisitor {
public:
  ElementsOfBlock(std::string buffer, const std::string& loop, int32_t width)
      : buffer_(std::move(buffer)), block_(Variable::make(Halide::Int(32), loop) * width) {}
  std::set<int64_t> loaded, stored;
  bool known = true; ///< which elements these are

private:
  using IRVisitor::visit;
  std::string buffer_;
  Expr block_;
  Definitions lets_;

  void note(std::set<int64_t>& elements, const Expr& index, const Expr& predicate) {
    const auto* ramp = index.as<Ramp>();
    if (!is_const_one(predicate) || (ramp != nullptr && !is_const_one(ramp->stride))) {
      known = false;
      return;
    }
    Expr first = withDefinitions(lets_, ramp != nullptr ? ramp->base : index);
    auto offset = as_const_int(simplify(first - block_));
    known &= offset.has_value();
    for (int64_t lane = 0; offset && lane < index.type().lanes(); ++lane) {
      elements.insert(*offset + lane);
    }
  }
  void visit(const Load* op) override {
    if (op->name == buffer_) {
      note(loaded, op->index, op->predicate);
    }
    IRVisitor::visit(op);
  }
  void visit(const Store* op) override {
    if (op->name == buffer_) {
      note(stored, op->index, op->predicate);
    }
    IRVisitor::visit(op);
  }
  template <class Node> void define(const Node* op) {
    op->value.accept(this);
    lets_.emplace_back(op->name, op->value);
    op->body.accept(this);
    lets_.pop_back();
  }
  void visit(const Let* op) override { define(op); }
  void visit(const LetStmt* op) override { define(op); }
};

/// Puts the reduction of a block behind its computation.
class PutIn : public IRMutator {
public:
  PutIn(std::string values, const Loop& loop, int32_t width) : values_(std::move(values)), loop_(loop), width_(width) {}
  bool done = false;

private:
  using IRMutator::visit;
  std::string values_;
  const Loop& loop_;
  int32_t width_;

  Stmt visit(const For* op) override {
    if (done || op->for_type != ForType::Serial || !is_const_zero(op->min) || !equal(op->extent, loop_.extent)) {
      return op;
    }
    ElementsOfBlock made(values_, op->name, width_), used(values_, loop_.name, width_);
    op->body.accept(&made);
    loop_.body.accept(&used);
    if (!made.known || !used.known || !std::ranges::includes(made.stored, used.loaded)) {
      return op;
    }
    done = true;
    Stmt reduce = substitute(loop_.name, Variable::make(Halide::Int(32), op->name), loop_.body);
    return For::make(op->name, op->min, op->extent, op->for_type, op->partition_policy, op->device_api,
                     Block::make(op->body, reduce));
  }
};

} // namespace

Stmt SumWhileMade::visit(const Block* op) {
  const auto* producer = op->first.as<ProducerConsumer>();
  auto sums = producer == nullptr || !producer->is_producer ? sums_.end() : sums_.find(producer->name);
  if (sums == sums_.end()) {
    return IRMutator::visit(op);
  }
  Stmt making = producer->body, after = op->rest;
  std::vector<Stmt> before;
  std::vector<Stmt> buffers;
  for (const Sum& sum : sums->second) {
    TakeOut reduction(sum.lanes);
    Stmt rest = reduction.mutate(after);
    if (!reduction.buffer.defined() || !reduction.loop) {
      continue;
    }
    AccessedBuffers later, reducing;
    rest.accept(&later);
    reduction.loop->body.accept(&reducing);
    later.stored.erase(sum.lanes);
    bool early = std::ranges::none_of(reducing.loaded, [&](const auto& n) { return later.stored.contains(n); });
    PutIn join(producer->name, *reduction.loop, sum.width);
    Stmt joined = join.mutate(making);
    if (early && join.done) {
      making = joined;
      after = rest;
      before.insert(before.end(), reduction.before.begin(), reduction.before.end());
      buffers.push_back(reduction.buffer);
    }
  }
  Stmt s = Block::make(ProducerConsumer::make(producer->name, true, making), mutate(after));
  if (!before.empty()) {
    s = Block::make(Block::make(before), s);
  }
  for (const Stmt& allocated : buffers) {
    const auto* buffer = allocated.as<Allocate>();
    s = Allocate::make(buffer->name, buffer->type, buffer->memory_type, buffer->extents, buffer->condition, s,
                       buffer->new_expr, buffer->free_function, buffer->padding);
  }
  return s;
}

} // namespace dnn::codegen
