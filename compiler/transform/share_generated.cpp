#include "compiler/transform/share_generated.h"

#include "compiler/graph/affine.h"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <unordered_set>

namespace dnn::transform {

namespace {

using graph::ExprKind;
using graph::ExprRef;
using graph::Function;
using graph::IndexVar;
using graph::Op;
using graph::OpKind;
using graph::Value;

/// How many elements the op's result has; nothing if that depends on symbols or needs more than 31 bits.
std::optional<uint32_t> elementsOf(const Op& op) {
  int64_t elements = 1;
  for (const IndexVar& var : op.dims) {
    if (!var.extent.isStatic()) {
      return std::nullopt;
    }
    elements *= var.extent.constant();
    if (elements < 1 || elements > std::numeric_limits<int32_t>::max()) {
      return std::nullopt;
    }
  }
  return static_cast<uint32_t>(elements);
}

/// Whether `e` is the number of the element in row-major order. Indices with one value count for nothing.
bool isPlace(const Op& op, ExprRef e) {
  if (e->dtype != DType::I32 || e->kind == ExprKind::Access) {
    return false;
  }
  std::optional<graph::LinearForm> form = graph::linearForm(e);
  if (!form || form->isUniform() || !form->isAffine() || !(form->constant == Dim(0))) {
    return false;
  }
  int64_t stride = 1;
  for (size_t d = op.dims.size(); d-- > 0;) {
    int64_t extent = op.dims[d].extent.constant();
    if (extent > 1 && form->factorOf(static_cast<uint32_t>(d)) != stride) {
      return false;
    }
    stride *= extent;
  }
  return true;
}

/// Whether the body uses indices for nothing but the number of the element.
bool usesPlacesOnly(const Op& op) {
  std::unordered_set<ExprRef> others; // what uses them for something else
  graph::forEachNode(op.body, [&](ExprRef e) {
    bool other =
        e->kind == ExprKind::Index || std::ranges::any_of(e->args, [&](ExprRef arg) { return others.contains(arg); });
    if (other && !isPlace(op, e)) {
      others.insert(e);
    }
  });
  return !others.contains(op.body);
}

/// The op of a body that makes one tensor of places and scalars.
Op* generatorOf(const std::vector<Op*>& ops) {
  Op* generator = nullptr;
  for (Op* op : ops) {
    if (op->kind == OpKind::Input && op->results[0]->type.dims.empty()) {
      continue;
    }
    if (generator != nullptr || op->kind != OpKind::Comp || !op->reduced.empty() || op->dims.empty()) {
      return nullptr;
    }
    generator = op;
  }
  return generator != nullptr && elementsOf(*generator) && usesPlacesOnly(*generator) ? generator : nullptr;
}

class NumberSeparator {
public:
  explicit NumberSeparator(Function& function) : function_(function), pool_(function.module.exprs) {}

  void run() {
    std::vector<Op*> ops;
    for (Op* op : function_.body.ops) {
      if (op->kind == OpKind::Group && op->operands.empty() && op->body_block->ops.size() == 1) {
        Op* generator = generatorOf(op->body_block->ops);
        if (generator != nullptr && generator->body->kind != ExprKind::Const) {
          separate(*op, *generator, ops);
        }
      }
      ops.push_back(op);
    }
    function_.body.ops = std::move(ops);
    graph::refreshRegions(function_);
  }

private:
  Function& function_;
  graph::ExprPool& pool_;

  Value* scalar(ExprRef number, std::vector<Op*>& before) {
    Op* comp = function_.createOp(OpKind::Comp, {}, {TensorType{.dtype = DType::F32}}, {});
    comp->body = number;
    Op* group = function_.createOp(OpKind::Group, {}, {}, {});
    group->anchor = "elementwise";
    group->body_block->ops = {comp};
    before.push_back(group);
    return comp->results[0];
  }

  void separate(Op& group, Op& generator, std::vector<Op*>& before) {
    generator.body = graph::rewrite(pool_, generator.body, [&](ExprRef e, const std::vector<ExprRef>&) -> ExprRef {
      if (e->kind != ExprKind::Const || e->dtype != DType::F32) {
        return nullptr;
      }
      generator.operands.push_back(scalar(e, before));
      return pool_.access(static_cast<uint32_t>(generator.operands.size() - 1), DType::F32, {});
    });
    group.operands = generator.operands;
  }
};

} // namespace

void separateNumbers(graph::Module& module) {
  for (const auto& function : module.functions) {
    if (function->kind == graph::FunctionKind::Init) {
      NumberSeparator(*function).run();
    }
  }
}

std::optional<uint32_t> makeAnySize(Function& kernel) {
  Op* generator = kernel.symbols.empty() && kernel.returns.size() == 1 ? generatorOf(kernel.body.ops) : nullptr;
  if (generator == nullptr) {
    return std::nullopt;
  }
  uint32_t elements = *elementsOf(*generator);
  graph::ExprPool& pool = kernel.module.exprs;
  generator->body = graph::rewrite(pool, generator->body, [&](ExprRef e, const std::vector<ExprRef>&) -> ExprRef {
    return isPlace(*generator, e) ? pool.index(0) : nullptr;
  });
  // Two classes of sizes: kernels for few elements are compiled in another way.
  int64_t most = elements <= 1U << 17 ? 1 << 17 : std::numeric_limits<int32_t>::max();
  kernel.symbols.push_back({"s0", most});
  generator->dims = {{"i0", Dim::symbol(0)}};
  generator->results[0]->type.dims = {Dim::symbol(0)};
  return elements;
}

} // namespace dnn::transform
