#include "compiler/codegen/halide/fetch_overwritten.h"

#include <map>
#include <utility>
#include <vector>

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

/// The loops, conditions and names around stores to buffers that are loaded too, with a fetch in the place of a store.
/// Undefined if there is none.
class Fetches {
public:
  explicit Fetches(const Stmt& consumer) { consumer.accept(&loaded_); }

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
    return store != nullptr && loaded_.names.contains(store->name) ? fetch(*store) : Stmt();
  }

private:
  LoadedBuffers loaded_;
  std::vector<std::pair<std::string, Expr>> lets_; ///< around this place
  std::map<std::string, Expr> last_;               ///< of each buffer, the element whose line was fetched last

  Stmt fetch(const Store& store) {
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
    Expr buffer = Variable::make(Halide::type_of<void*>(), store.name);
    Expr offset = Halide::cast<int64_t>(element) * Expr(bytes);
    return Evaluate::make(Call::make(Halide::Int(32), fetchToWrite, {buffer, offset}, Call::Extern));
  }
};

} // namespace

Stmt FetchOverwritten::visit(const Block* op) {
  const auto* producer = op->first.as<ProducerConsumer>();
  if (producer != nullptr && producer->is_producer && tiles_.contains(producer->name)) {
    if (Stmt fetches = Fetches(op->rest).of(op->rest); fetches.defined()) {
      return Block::make({fetches, op->first, op->rest});
    }
  }
  return IRMutator::visit(op);
}

} // namespace dnn::codegen
