#include "compiler/codegen/halide/fetch_for_tile.h"

#include <algorithm>
#include <set>
#include <utility>

namespace dnn::codegen {

namespace {

using namespace Halide::Internal;
using Halide::Expr;

constexpr int64_t bytesOfLine = 64;

class LoadedBuffers : public IRVisitor {
public:
  std::set<std::string> names;

private:
  using IRVisitor::visit;
  void visit(const Load* op) override {
    names.insert(op->name);
    IRVisitor::visit(op);
  }
};

/// The loops, conditions and names around stores, with fetches in the place of a store. Undefined if there are none.
class Fetches {
public:
  Fetches(const FetchedForTile& what, const Stmt& consumer) : what_(what) { consumer.accept(&loaded_); }

  Stmt of(const Stmt& s) {
    if (const auto* block = s.as<Block>()) {
      Stmt first = of(block->first), rest = of(block->rest);
      return first.defined() && rest.defined() ? Block::make(first, rest) : first.defined() ? first : rest;
    }
    if (const auto* produced = s.as<ProducerConsumer>()) {
      return of(produced->body);
    }
    if (const auto* let = s.as<LetStmt>()) {
      lets_.emplace_back(let->name, let->value);
      Stmt body = of(let->body);
      lets_.pop_back();
      return body.defined() && stmt_uses_var(body, let->name) ? LetStmt::make(let->name, let->value, body) : body;
    }
    if (const auto* test = s.as<IfThenElse>()) {
      Stmt then = of(test->then_case), otherwise = test->else_case.defined() ? of(test->else_case) : Stmt();
      if (!then.defined()) {
        return otherwise.defined() ? IfThenElse::make(!test->condition, otherwise) : otherwise;
      }
      return IfThenElse::make(test->condition, then, otherwise);
    }
    if (const auto* loop = s.as<For>()) {
      last_.clear();
      Stmt body = loop->for_type == ForType::Serial ? of(loop->body) : Stmt();
      last_.clear();
      return body.defined() ? For::make(loop->name, loop->min, loop->extent, loop->for_type, loop->partition_policy,
                                        loop->device_api, body)
                            : body;
    }
    const auto* store = s.as<Store>();
    return store != nullptr ? fetch(*store) : Stmt();
  }

private:
  const FetchedForTile& what_;
  LoadedBuffers loaded_;
  std::vector<std::pair<std::string, Expr>> lets_; ///< around this place
  std::map<std::string, Expr> last_;               ///< of each buffer, the element whose line was fetched last
  std::string written_;                            ///< the one of the output's buffers that stores go to first

  Stmt fetch(const Store& store) {
    bool overwritten = what_.overwritten && loaded_.names.contains(store.name);
    bool output = !what_.reads.empty() && isOutput(store.name);
    if (!overwritten && !output) {
      return {};
    }
    const auto* ramp = store.index.as<Ramp>();
    Expr element = ramp != nullptr ? ramp->base : store.index;
    int64_t bytes = store.value.type().bytes();
    Expr written = element;
    for (size_t i = lets_.size(); i-- > 0;) {
      written = substitute(lets_[i].first, lets_[i].second, written);
    }
    if (auto known = last_.find(store.name); known != last_.end()) {
      auto distance = as_const_int(simplify(written - known->second));
      if (distance && *distance >= 0 && *distance * bytes < bytesOfLine) {
        return {};
      }
    }
    last_[store.name] = written;
    std::vector<Stmt> fetches;
    if (overwritten) {
      fetches.push_back(line(fetchToWrite, store.name, Halide::cast<int64_t>(element) * Expr(bytes)));
    }
    for (const FetchedForTile::Read& read : output ? what_.reads : std::vector<FetchedForTile::Read>{}) {
      Expr place = Halide::cast<int64_t>(element) * Expr(read.elements) / Expr(read.each);
      int64_t all = bytesOfLine / bytes * read.elements * read.bytes;
      for (int64_t at = 0; at * read.each < all; at += bytesOfLine) {
        fetches.push_back(line(fetchToReadSoon, read.buffer, (place + Expr(read.ahead)) * Expr(read.bytes) + Expr(at)));
      }
    }
    return Block::make(fetches);
  }

  static Stmt line(const char* how, const std::string& buffer, const Expr& offset) {
    Expr address = Variable::make(Halide::type_of<void*>(), buffer);
    return Evaluate::make(Call::make(Halide::Int(32), how, {address, simplify(offset)}, Call::Extern));
  }

  /// Whether it is the output's buffer, or the first of several, which are written at the same places.
  bool isOutput(const std::string& buffer) {
    if (written_.empty() && (buffer == what_.output || buffer.starts_with(what_.output + "."))) {
      written_ = buffer;
    }
    return buffer == written_;
  }
};

} // namespace

Stmt FetchForTile::visit(const Block* op) {
  const auto* test = op->first.as<IfThenElse>(); // whether its consumer is: beside other outputs
  const auto* producer = (test != nullptr ? test->then_case : op->first).as<ProducerConsumer>();
  if (producer != nullptr && producer->is_producer) {
    if (auto tile = tiles_.find(producer->name); tile != tiles_.end()) {
      if (Stmt fetches = Fetches(tile->second, op->rest).of(op->rest); fetches.defined()) {
        return Block::make({fetches, op->first, op->rest});
      }
    }
  }
  return IRMutator::visit(op);
}

} // namespace dnn::codegen
