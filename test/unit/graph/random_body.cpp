#include "random_body.h"

#include "compiler/graph/affine.h"
#include "compiler/graph/scalar_math.h"
#include "compiler/support/assert.h"

#include <cmath>

namespace dnn::graph {

namespace {

int pick(std::mt19937& random, int count) { return static_cast<int>(random() % static_cast<unsigned>(count)); }

class Maker {
public:
  Maker(std::mt19937& random, ExprPool& pool, const Op& op, std::span<const Symbol> symbols)
      : random_(random), pool_(pool), op_(op), ranges_(op, symbols) {}

  ExprRef integer(int depth) {
    int kind = depth <= 0 ? pick(random_, 3) : pick(random_, 12);
    auto constant = [&](int low, int high) { return pool_.integer(low + pick(random_, high - low + 1)); };
    size_t indices = op_.dims.size() + op_.reduced.size();
    switch (kind) {
    case 0:
    case 1:
      if (indices > 0) {
        return pool_.index(static_cast<uint32_t>(pick(random_, static_cast<int>(indices))));
      }
      return constant(-2, 5);
    case 2: return constant(-2, 5);
    case 3:
    case 4: return pool_.apply(ScalarOp::Add, {integer(depth - 1), integer(depth - 1)});
    case 5: return pool_.apply(ScalarOp::Sub, {integer(depth - 1), integer(depth - 1)});
    case 6: return pool_.apply(ScalarOp::Mul, {integer(depth - 1), constant(-2, 3)});
    case 7: return pool_.apply(ScalarOp::Div, {integer(depth - 1), constant(1, 4)});
    case 8: return pool_.apply(ScalarOp::Mod, {integer(depth - 1), constant(1, 5)});
    case 9: return pick(random_, 2) ? pool_.extent(Dim::symbol(0) + Dim(pick(random_, 3))) : constant(0, 3);
    case 10:
      return pool_.apply(pick(random_, 2) ? ScalarOp::Min : ScalarOp::Max, {integer(depth - 1), integer(depth - 1)});
    default:
      return pick(random_, 3) ? access(2, depth - 1)
                              : pool_.apply(ScalarOp::Select, {condition(depth - 1), integer(depth - 1),
                                                               pool_.apply(ScalarOp::Abs, {integer(depth - 1)})});
    }
  }

  ExprRef condition(int depth) {
    constexpr ScalarOp relations[] = {ScalarOp::Lt, ScalarOp::Le, ScalarOp::Gt,
                                      ScalarOp::Ge, ScalarOp::Eq, ScalarOp::Ne};
    ScalarOp relation = relations[pick(random_, 6)];
    if (pick(random_, 4) == 0 && depth > 0) {
      return pool_.apply(ScalarOp::And, {condition(depth - 1), pool_.apply(ScalarOp::Not, {condition(depth - 1)})});
    }
    return pick(random_, 2) ? pool_.apply(relation, {integer(depth - 1), integer(depth - 1)})
                            : pool_.apply(relation, {real(depth - 1), real(depth - 1)});
  }

  ExprRef real(int depth) {
    int kind = depth <= 0 ? pick(random_, 2) : pick(random_, 9);
    switch (kind) {
    case 0: return pool_.number(pick(random_, 9) * 0.25 - 1);
    case 1:
    case 2:
    case 3: return access(static_cast<uint32_t>(pick(random_, 2)), depth);
    case 4: return pool_.apply(ScalarOp::Add, {real(depth - 1), real(depth - 1)});
    case 5: return pool_.apply(ScalarOp::Mul, {real(depth - 1), real(depth - 1)});
    case 6:
      return pick(random_, 2) ? pool_.apply(ScalarOp::Max, {real(depth - 1), real(depth - 1)})
                              : pool_.apply(ScalarOp::Tanh, {real(depth - 1)});
    case 7: return pool_.cast(DType::F32, integer(depth - 1));
    default: return pool_.apply(ScalarOp::Select, {condition(depth - 1), real(depth - 1), real(depth - 1)});
    }
  }

private:
  ExprRef access(uint32_t operand, int depth) {
    const TensorType& type = op_.operands[operand]->type;
    std::vector<ExprRef> subscripts;
    bool proved = true;
    for (const Dim& extent : type.dims) {
      subscripts.push_back(integer(std::min(depth, 3) - 1));
      proved &= ranges_.alwaysInRange(subscripts.back(), extent);
    }
    std::optional<double> fill;
    if (!proved || pick(random_, 4) == 0) {
      fill = isFloat(type.dtype) ? 0.5 : pick(random_, 8) - 1;
    }
    return pool_.access(operand, type.dtype, std::move(subscripts), fill);
  }

  std::mt19937& random_;
  ExprPool& pool_;
  const Op& op_;
  RangeAnalysis ranges_;
};

} // namespace

ExprRef randomInteger(std::mt19937& random, ExprPool& pool, const Op& op, int depth) {
  std::vector<Symbol> symbols = {{"N", 5}};
  return Maker(random, pool, op, symbols).integer(depth);
}

std::unique_ptr<Module> randomComp(std::mt19937& random) {
  auto module = std::make_unique<Module>();
  Function& f = module->addFunction(FunctionKind::Helper, "f");
  f.symbols = {{"N", 5}};
  Dim n = Dim::symbol(0);
  auto input = [&](const char* name, TensorType type) {
    Op* op = f.append(OpKind::Input, {}, {std::move(type)}, {});
    op->symbol = name;
    op->results[0]->name = name;
    return op->results[0];
  };
  Value* x = input("x", {.dtype = DType::F32, .dims = {n, Dim(4)}});
  Value* v = input("v", {.dtype = DType::F32, .dims = {Dim(6)}});
  Value* t = input("t", {.dtype = DType::I32, .dims = {n, Dim(3)}, .bound = Dim(6)});
  std::vector<IndexVar> dims;
  std::vector<IndexVar> reduced;
  auto var = [&](const char* name) {
    int extent = pick(random, 8);
    return IndexVar{name, extent < 2 ? n + Dim(pick(random, 2)) : Dim(extent - 1)};
  };
  for (const char* name : {"i", "j", "k"}) {
    if (pick(random, 4) != 0) {
      dims.push_back(var(name));
    }
  }
  constexpr Reduction reductions[] = {Reduction::None, Reduction::Add, Reduction::Max,    Reduction::Min,
                                      Reduction::Mul,  Reduction::Any, Reduction::ArgMax, Reduction::ArgMin};
  Reduction reduction = reductions[pick(random, 8)];
  if (reduction != Reduction::None) {
    reduced.push_back(var("p"));
    if (pick(random, 2)) {
      reduced.push_back(var("q"));
    }
  }
  TensorType type;
  for (const IndexVar& index : dims) {
    type.dims.push_back(index.extent);
  }
  Op* op = f.append(OpKind::Comp, {x, v, t}, {type}, {});
  op->dims = std::move(dims);
  op->reduced = std::move(reduced);
  op->reduction = reduction;
  Maker maker(random, module->exprs, *op, f.symbols);
  bool arg = isArg(reduction);
  if (reduction == Reduction::Any) {
    op->body = maker.condition(3);
  } else {
    op->body = pick(random, 4) == 0 ? maker.integer(4) : maker.real(4);
  }
  op->results[0]->type.dtype = arg ? DType::I32 : op->body->dtype;
  normalizeOperands(module->exprs, *op);
  f.returns = {op->results[0]};
  return module;
}

Scalar evaluateSlowly(ExprRef e, std::span<const int64_t> point, std::span<const Tensor* const> operands,
                      std::span<const int64_t> symbolValues) {
  std::vector<Scalar> args;
  for (ExprRef arg : e->args) {
    args.push_back(evaluateSlowly(arg, point, operands, symbolValues));
  }
  auto integer = [](int64_t value) { return Scalar{0, value}; };
  auto number = [](double value) { return Scalar{value, 0}; };
  bool real = !e->args.empty() && isFloat(e->args.back()->dtype);
  switch (e->kind) {
  case ExprKind::Const: return {e->number, e->integer};
  case ExprKind::Index: return integer(point[e->index]);
  case ExprKind::Extent: return integer(e->extent.evaluate(symbolValues));
  case ExprKind::Cast: return isFloat(e->dtype) ? number(double(args[0].integer)) : integer(args[0].integer);
  case ExprKind::Draw: DNN_UNREACHABLE("no draws here");
  case ExprKind::Access: {
    const Tensor& tensor = *operands[e->operand];
    int64_t address = 0;
    for (size_t i = 0; i < args.size(); ++i) {
      if (args[i].integer < 0 || args[i].integer >= tensor.dims[i]) {
        DNN_ASSERT(e->fill, "only subscripts with a fill value leave their tensor");
        return {*e->fill, static_cast<int64_t>(*e->fill)};
      }
      address = address * tensor.dims[i] + args[i].integer;
    }
    return isFloat(tensor.dtype) ? number(tensor.get(address)) : integer(tensor.ints[size_t(address)]);
  }
  case ExprKind::Apply: break;
  }
  double x = args[0].number;
  double y = args.size() > 1 ? args[1].number : 0;
  int64_t a = args[0].integer;
  int64_t b = args.size() > 1 ? args[1].integer : 0;
  auto wrapped = [&](int64_t value) { return integer(static_cast<int32_t>(value)); };
  switch (e->op) {
  case ScalarOp::Add: return real ? number(x + y) : wrapped(a + b);
  case ScalarOp::Sub: return real ? number(x - y) : wrapped(a - b);
  case ScalarOp::Mul: return real ? number(x * y) : wrapped(a * b);
  case ScalarOp::Div: return integer(static_cast<int64_t>(std::floor(double(a) / double(b))));
  case ScalarOp::Mod: return integer(a - b * static_cast<int64_t>(std::floor(double(a) / double(b))));
  case ScalarOp::Min: return real ? number(std::min(x, y)) : integer(std::min(a, b));
  case ScalarOp::Max: return real ? number(std::max(x, y)) : integer(std::max(a, b));
  case ScalarOp::Abs: return wrapped(std::abs(a));
  case ScalarOp::Tanh: return number(std::tanh(x));
  case ScalarOp::Lt: return integer(real ? x < y : a < b);
  case ScalarOp::Le: return integer(real ? x <= y : a <= b);
  case ScalarOp::Gt: return integer(real ? x > y : a > b);
  case ScalarOp::Ge: return integer(real ? x >= y : a >= b);
  case ScalarOp::Eq: return integer(real ? x == y : a == b);
  case ScalarOp::Ne: return integer(real ? x != y : a != b);
  case ScalarOp::And: return integer(a & b);
  case ScalarOp::Not: return integer(a == 0);
  case ScalarOp::Select: return args[0].integer != 0 ? args[1] : args[2];
  default: DNN_UNREACHABLE("the random bodies have no other operators");
  }
}

Tensor evaluateSlowly(const Op& op, std::span<const Tensor* const> operands, std::span<const int64_t> symbolValues) {
  std::vector<int64_t> extents;
  std::vector<int64_t> dims;
  for (const IndexVar& var : op.dims) {
    extents.push_back(var.extent.evaluate(symbolValues));
    dims.push_back(extents.back());
  }
  for (const IndexVar& var : op.reduced) {
    extents.push_back(var.extent.evaluate(symbolValues));
  }
  Tensor result = Tensor::zeros(op.results[0]->type.dtype, dims);
  int64_t reducedPoints = 1;
  for (size_t i = dims.size(); i < extents.size(); ++i) {
    reducedPoints *= extents[i];
  }
  bool real = isFloat(op.body->dtype);
  for (int64_t out = 0; out < result.size(); ++out) {
    Scalar soFar;
    int64_t best = 0;
    for (int64_t r = 0; r < reducedPoints; ++r) {
      std::vector<int64_t> point(extents.size());
      int64_t rest = out * reducedPoints + r;
      for (size_t i = extents.size(); i-- > 0;) {
        point[i] = rest % extents[i];
        rest /= extents[i];
      }
      Scalar value = evaluateSlowly(op.body, point, operands, symbolValues);
      bool less = real ? value.number < soFar.number : value.integer < soFar.integer;
      bool more = real ? value.number > soFar.number : value.integer > soFar.integer;
      bool wanted = op.reduction == Reduction::Max || op.reduction == Reduction::ArgMax ? more : less;
      if (r == 0) {
        soFar = value;
      } else if (op.reduction == Reduction::Add) {
        soFar = {soFar.number + value.number, static_cast<int32_t>(soFar.integer + value.integer)};
      } else if (op.reduction == Reduction::Mul) {
        soFar = {soFar.number * value.number, static_cast<int32_t>(soFar.integer * value.integer)};
      } else if (op.reduction == Reduction::Any) {
        soFar.integer |= value.integer;
      } else if (wanted) {
        soFar = value;
        best = r;
      }
    }
    if (isArg(op.reduction)) {
      result.ints[size_t(out)] = best;
    } else if (real) {
      result.floats[size_t(out)] = soFar.number;
    } else {
      result.ints[size_t(out)] = soFar.integer;
    }
  }
  return result;
}

} // namespace dnn::graph
