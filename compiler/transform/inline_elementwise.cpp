// Moves the bodies of elementwise comps into the bodies that read them, where that leaves less to do or to read.
//
//   %a = comp [n:N] : f32 { mul(%d[n], %y[n]) }                  %g = comp [n:N] : f32 { mul(mul(%d[n], %y[n]), …) }
//   %g = comp [n:N] : f32 { mul(%a[n], sub(1.0, %y[n])) }    →
//
//  - the value has one reader, which reads each element once: nothing is computed twice, and nothing is stored;
//  - or its one reader is elementwise too, over more indices, and the value is arithmetic: it is computed again at each
//    of them, which costs less than another tensor;
//  - or the reader's body, simplified, costs no more than before: something cancelled;
//  - or all its readers together cost no more than before with the value, which then need not be computed;
//  - or the reader is elementwise, and the value costs no more than the read of it: a sign, a factor;
//  - or the value is a tensor of 16-bit floats, widened.
// Whether what remains is stored or recomputed inside a kernel is for fusion to decide. Nothing is moved into the body
// of a scan, where it would be computed in every step.
#include "compiler/algebra/cost.h"
#include "compiler/algebra/simplify.h"
#include "compiler/graph/scan.h"
#include "compiler/transform/pass_manager.h"
#include "compiler/transform/read_through.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace dnn::transform {

namespace {

using algebra::Builder;
using graph::ExprKind;
using graph::ExprRef;
using graph::Op;
using graph::Value;

const Dim& extentOf(const Op& op, uint32_t index) {
  return index < op.dims.size() ? op.dims[index].extent : op.reduced[index - op.dims.size()].extent;
}

/// Every point of the op's domain reads another element.
bool readsEachOnce(const Op& user, ExprRef access) {
  std::set<uint32_t> indices;
  for (ExprRef subscript : access->args) {
    if (subscript->kind == ExprKind::Index && !(extentOf(user, subscript->index) == Dim(1))) {
      indices.insert(subscript->index);
    }
  }
  size_t needed = 0;
  for (const auto* vars : {&user.dims, &user.reduced}) {
    needed += static_cast<size_t>(
        std::ranges::count_if(*vars, [](const graph::IndexVar& var) { return !(var.extent == Dim(1)); }));
  }
  return indices.size() == needed;
}

/// A tensor of 16-bit floats as f32: whoever reads that reads half of the bytes, and widens them, instead.
bool isWidening(ExprRef body) {
  return body->kind == ExprKind::Cast && isStorageOnly(body->args[0]->dtype) && body->args[0]->kind == ExprKind::Access;
}

/// Who reads each value; kept up to date, since a program of thousands of ops is changed as often.
class Readers {
public:
  explicit Readers(const graph::Function& function) : returned_(function.returns.begin(), function.returns.end()) {
    graph::forEachOp(function.body, [&](Op* op) { add(*op); });
  }
  /// Once for each operand of an op, so that reading twice is two; what scans capture their bodies' ops read.
  void add(Op& op) {
    size_t own = op.kind == graph::OpKind::Scan ? graph::firstCapture(op) : op.operands.size();
    for (size_t i = 0; i < own; ++i) {
      readers_[op.operands[i]].push_back(&op);
    }
  }
  void remove(const Op& op) {
    for (const Value* v : op.operands) {
      std::erase(readers_.at(v), &op);
    }
  }
  const std::vector<Op*>& of(const Value* v) const {
    static const std::vector<Op*> none;
    auto found = readers_.find(v);
    return found == readers_.end() ? none : found->second;
  }
  bool returned(const Value* v) const { return returned_.contains(v); }

private:
  std::unordered_map<const Value*, std::vector<Op*>> readers_;
  std::unordered_set<const Value*> returned_;
};

class ElementwiseInliner {
public:
  explicit ElementwiseInliner(graph::Function& function)
      : function_(function), b_(function.module.exprs), readers_(function) {
    noteBlock(function.body, nullptr);
  }

  Changed run() {
    Changed changed = Changed::No;
    graph::forEachOp(function_.body, [&](Op* op) {
      if (op->body == nullptr) {
        return;
      }
      // Operands that come in by inlining are tried as well.
      for (size_t i = 0; i < op->operands.size();) {
        if (tryInline(*op, *op->operands[i])) {
          changed = Changed::Yes;
          i = 0;
        } else {
          ++i;
        }
      }
    });
    return changed;
  }

private:
  struct Inlined {
    ExprRef body = nullptr;
    std::vector<Value*> operands;
    int cost = 0;
  };

  void noteBlock(const graph::Block& block, const Op* scan) {
    for (const Op* op : block.ops) {
      scanOf_[op] = scan;
      if (op->body_block) {
        noteBlock(*op->body_block, op->kind == graph::OpKind::Scan ? op : scan);
      }
    }
  }

  /// The user with value read through, simplified.
  std::optional<Inlined> inlined(const Op& user, const Value& value) const {
    std::optional<ReadThrough> read = readThrough(b_, user, value, function_.symbols);
    if (!read) {
      return std::nullopt;
    }
    graph::IndexDomain domain = graph::domainOf(user, function_.symbols);
    domain.operands.clear();
    for (const Value* operand : read->operands) {
      domain.operands.push_back(operand->type);
    }
    ExprRef body = algebra::Simplifier(b_, domain, true).run(read->body);
    return Inlined{body, std::move(read->operands), algebra::cost(body)};
  }

  void commit(Op& user, Inlined made) {
    readers_.remove(user);
    user.body = made.body;
    user.operands = std::move(made.operands);
    graph::normalizeOperands(b_.pool(), user);
    readers_.add(user);
  }

  bool tryInline(Op& user, const Value& value) {
    constexpr int maxCost = 400; // longer bodies are no easier to read, and slow to compile
    if (!isElementwise(*value.def) || usedInPlaces(user, value) || scanOf_.at(&user) != scanOf_.at(value.def)) {
      return false;
    }
    if (isWidening(user.body)) {
      return false; // its readers take it in, and find the value kept in 16 bits
    }
    std::vector<ExprRef> accesses = accessesOf(user, value);
    bool onlyReader = readers_.of(&value).size() == 1 && !readers_.returned(&value);
    bool once = onlyReader && accesses.size() == 1 && readsEachOnce(user, accesses[0]);
    int before = algebra::cost(user.body);
    constexpr int trivial = 4; // one operation on one element, or less
    int valueCost = algebra::cost(value.def->body);
    constexpr int arithmetic = 24;
    bool broadcast =
        onlyReader && accesses.size() == 1 && isElementwise(user) && valueCost <= arithmetic && !value.type.isScalar();
    bool cheap = (valueCost <= trivial && isElementwise(user)) || broadcast; // the body of a sum stays short
    cheap |= isWidening(value.def->body);
    if (!once && !cheap && !shareOperands(user, *value.def)) {
      return false; // nothing can cancel
    }
    std::optional<Inlined> made = inlined(user, value);
    if (!made || made->cost > std::max(maxCost, before)) {
      return false;
    }
    if (once || cheap || made->cost <= before) {
      commit(user, std::move(*made));
      return true;
    }
    return tryAllReaders(value, valueCost);
  }

  /// Into all readers at once, if together they then cost less than they do now with the value: it need not be
  /// computed.
  bool tryAllReaders(const Value& value, int valueCost) {
    constexpr size_t maxReaders = 3;
    constexpr int storeAndLoad = 4;
    const std::vector<Op*> readers = readers_.of(&value);
    if (readers.size() > maxReaders || readers_.returned(&value)) {
      return false;
    }
    int before = valueCost + storeAndLoad;
    int after = 0;
    std::vector<Inlined> made;
    for (const Op* reader : readers) {
      if (reader->body == nullptr || usedInPlaces(*reader, value) || scanOf_.at(reader) != scanOf_.at(value.def)) {
        return false;
      }
      std::vector<ExprRef> accesses = accessesOf(*reader, value);
      if (accesses.size() != 1 || !readsEachOnce(*reader, accesses[0])) {
        return false;
      }
      std::optional<Inlined> one = inlined(*reader, value);
      if (!one) {
        return false;
      }
      before += algebra::cost(reader->body);
      after += one->cost;
      made.push_back(std::move(*one));
    }
    if (after > before) {
      return false;
    }
    for (size_t i = 0; i < readers.size(); ++i) {
      commit(*readers[i], std::move(made[i]));
    }
    return true;
  }

  static bool shareOperands(const Op& a, const Op& b) {
    return std::ranges::any_of(a.operands,
                               [&](const Value* v) { return std::ranges::find(b.operands, v) != b.operands.end(); });
  }

  /// The value also subscripts the result of a scatter.
  static bool usedInPlaces(const Op& user, const Value& value) {
    bool found = false;
    for (ExprRef place : user.at) {
      graph::forEachNode(
          place, [&](ExprRef e) { found |= e->kind == ExprKind::Access && user.operands[e->operand] == &value; });
    }
    return found;
  }

  graph::Function& function_;
  Builder b_;
  Readers readers_;
  std::unordered_map<const Op*, const Op*> scanOf_; // the innermost scan around each op
};

} // namespace

Result<Changed> inlineElementwise(graph::Module& module) {
  Changed changed = Changed::No;
  for (const auto& function : module.functions) {
    changed = changed | ElementwiseInliner(*function).run();
  }
  return changed;
}

} // namespace dnn::transform
