#include "compiler/autodiff/inline_function.h"

#include "compiler/support/assert.h"

#include <optional>
#include <unordered_map>

namespace dnn::autodiff {

using graph::ExprKind;
using graph::ExprRef;
using graph::Function;
using graph::IndexVar;
using graph::Op;
using graph::OpKind;
using graph::Value;

namespace {

class Inliner {
public:
  Inliner(Function& caller, const Function& callee) : caller_(caller), callee_(callee) {}

  Inlined run(std::span<Value* const> arguments) {
    bindSymbols(arguments);
    size_t next = 0;
    for (const Op* op : callee_.body.ops) {
      if (op->kind == OpKind::Input) {
        DNN_ASSERT(next < arguments.size(), "a call has one argument for each input");
        values_[op->results[0]] = arguments[next++];
      } else {
        result_.ops.push_back(copy(*op));
      }
    }
    DNN_ASSERT(next == arguments.size(), "a call has one argument for each input");
    for (const Value* value : callee_.returns) {
      result_.returns.push_back(values_.at(value));
    }
    return std::move(result_);
  }

private:
  void bindSymbols(std::span<Value* const> arguments) {
    symbols_.resize(callee_.symbols.size());
    size_t next = 0;
    for (const Op* op : callee_.body.ops) {
      if (op->kind != OpKind::Input || next >= arguments.size()) {
        continue;
      }
      const auto& formal = op->results[0]->type.dims;
      const auto& actual = arguments[next++]->type.dims;
      for (size_t d = 0; d < formal.size() && d < actual.size(); ++d) {
        bool bare =
            formal[d].terms().size() == 1 && formal[d].constant() == 0 && formal[d].terms().begin()->second == 1;
        if (bare && !symbols_[formal[d].terms().begin()->first]) {
          symbols_[formal[d].terms().begin()->first] = actual[d];
        }
      }
    }
    for (size_t s = 0; s < symbols_.size(); ++s) {
      for (SymbolId c = 0; c < caller_.symbols.size() && !symbols_[s]; ++c) {
        if (caller_.symbols[c].name == callee_.symbols[s].name) {
          symbols_[s] = Dim::symbol(c);
        }
      }
      DNN_ASSERT(symbols_[s], "every symbol of a helper is bound by its caller");
    }
  }

  Dim map(const Dim& dim) const {
    Dim result(dim.constant());
    for (auto [symbol, factor] : dim.terms()) {
      result = result + *symbols_[symbol] * factor;
    }
    return result;
  }

  TensorType map(TensorType type) const {
    for (Dim& dim : type.dims) {
      dim = map(dim);
    }
    if (type.bound) {
      type.bound = map(*type.bound);
    }
    return type;
  }

  std::vector<IndexVar> map(std::vector<IndexVar> vars) const {
    for (IndexVar& var : vars) {
      var.extent = map(var.extent);
    }
    return vars;
  }

  ExprRef map(ExprRef e) const {
    if (e == nullptr) {
      return nullptr;
    }
    return graph::rewrite(caller_.module.exprs, e, [&](ExprRef node, const std::vector<ExprRef>&) -> ExprRef {
      return node->kind == ExprKind::Extent ? caller_.module.exprs.extent(map(node->extent)) : nullptr;
    });
  }

  Op* copy(const Op& op) {
    Op* made = graph::copyOp(caller_, op, values_);
    bind(*made);
    return made;
  }

  /// Extents of the callee become those of the caller.
  void bind(Op& op) {
    for (Value* value : op.results) {
      value->type = map(value->type);
    }
    op.dims = map(op.dims);
    op.reduced = map(op.reduced);
    op.body = map(op.body);
    for (ExprRef& subscript : op.at) {
      subscript = map(subscript);
    }
    if (op.body != nullptr) {
      graph::normalizeOperands(caller_.module.exprs, op); // two arguments may be the same value
    }
    if (op.body_block) {
      for (Op* inner : op.body_block->ops) {
        bind(*inner);
      }
    }
  }

  Function& caller_;
  const Function& callee_;
  std::vector<std::optional<Dim>> symbols_;
  std::unordered_map<const Value*, Value*> values_;
  Inlined result_;
};

} // namespace

Inlined inlineFunction(Function& caller, const Function& callee, std::span<Value* const> arguments) {
  return Inliner(caller, callee).run(arguments);
}

} // namespace dnn::autodiff
