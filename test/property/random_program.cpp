#include "test/property/random_program.h"

#include "compiler/algebra/builder.h"
#include "compiler/algebra/reindex.h"
#include "compiler/autodiff/adjoint.h"
#include "compiler/graph/affine.h"
#include "compiler/graph/scan.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace dnn::test {

using graph::ExprRef;
using graph::IndexVar;
using graph::Op;
using graph::OpKind;
using graph::Tensor;
using graph::Value;

namespace {

class Generator {
public:
  Generator(uint64_t seed, const RandomProgramOptions& options)
      : random_(seed), options_(options), dtype_(options.wide ? DType::F64 : DType::F32) {
    program_.module = std::make_unique<graph::Module>();
    function_ = &program_.module->addFunction(graph::FunctionKind::Step, "f");
  }

  RandomProgram run() {
    if (chance(30)) {
      function_->symbols.push_back({"N", 4});
      program_.environment.symbols["N"] = between(1, 4);
    }
    program_.environment.seed = random_();
    int count = between(1, 3);
    for (int i = 0; i < count; ++i) {
      addParameter();
    }
    size_t parameters = pool_.size();
    int ops = between(1, 5);
    for (int i = 0; i < ops; ++i) {
      addOp();
    }
    std::vector<Value*> wrt(pool_.begin(), pool_.begin() + static_cast<std::ptrdiff_t>(parameters));
    if (options_.ofElements) {
      addElementGrads(wrt);
      return std::move(program_);
    }
    Value* loss = addLoss();
    std::vector<Value*> gradients = addGrad(loss, wrt);
    if (options_.secondOrder) {
      pool_ = gradients;
      for (Value* parameter : wrt) {
        pool_.push_back(parameter);
      }
      addGrad(addLoss(), wrt);
    }
    return std::move(program_);
  }

  RandomProgram runExtreme() {
    constexpr double points[] = {0, 1, -1, 0.5, -2, 3, 1000, -1000};
    constexpr int count = 24;
    for (int p = 0; p < 3; ++p) {
      addInput("x" + std::to_string(p), count, points);
    }
    for (int i = between(1, 4); i > 0; --i) {
      vars_ = {{"i", Dim(count)}};
      operands_.clear();
      finishComp(1, Reduction::None, extremeBody(between(2, 4)));
      Op* output = function_->append(OpKind::Output, {pool_.back()}, {}, {});
      output->symbol = "y" + std::to_string(outputs_++);
    }
    vars_ = {{"i", Dim(count)}};
    operands_.clear();
    ExprRef last = exprs().access(operand(pool_.back()), DType::F32, {index(0)});
    ExprRef all = exprs().access(operand(pool_[0]), DType::F32, {index(0)});
    finishComp(0, Reduction::Add, apply(ScalarOp::Add, {last, all}));
    addGrad(pool_.back(), {pool_[0]});
    return std::move(program_);
  }

private:
  void addInput(const std::string& name, int count, std::span<const double> points) {
    Op* op = function_->append(OpKind::Input, {}, {{DType::F32, {Dim(count)}, std::nullopt}}, {});
    op->symbol = name;
    op->results[0]->name = name;
    Tensor tensor = Tensor::zeros(DType::F32, {count});
    for (int i = 0; i < count; ++i) {
      tensor.set(i, points[static_cast<size_t>(between(0, static_cast<int>(points.size()) - 1))]);
    }
    program_.environment.inputs[name] = tensor;
    pool_.push_back(op->results[0]);
  }

  /// Any operator of any value; parts are often used twice, so that there is something to cancel.
  ExprRef extremeBody(int depth) {
    if (depth <= 0) {
      return chance(15) ? number(between(-2, 2)) : exprs().access(operand(pick(pool_)), DType::F32, {index(0)});
    }
    auto one = [&] { return extremeBody(depth - 1); };
    // Conditions are of inputs: a comparison would turn a NaN into a choice.
    auto input = [&] {
      return exprs().access(operand(pool_[static_cast<size_t>(between(0, 2))]), DType::F32, {index(0)});
    };
    ExprRef a = one();
    ExprRef b = chance(40) ? a : one();
    ExprRef zero = number(0);
    auto plusOne = [&](ExprRef e) { return apply(ScalarOp::Add, {number(1), e}); };
    auto neg = [&](ExprRef e) { return apply(ScalarOp::Neg, {e}); };
    auto exp = [&](ExprRef e) { return apply(ScalarOp::Exp, {e}); };
    switch (between(0, 20)) {
    case 0:
    case 1: return apply(ScalarOp::Add, {a, b});
    case 2:
    case 3: return apply(ScalarOp::Sub, {a, b});
    case 4:
    case 5: return apply(ScalarOp::Mul, {a, b});
    case 6:
    case 7: return apply(ScalarOp::Div, {a, b});
    case 8: return exp(a);
    case 9: return apply(ScalarOp::Log, {a});
    case 10: return apply(ScalarOp::Sqrt, {a});
    case 11: return apply(ScalarOp::Div, {number(1), plusOne(exp(neg(a)))});
    case 12: return apply(ScalarOp::Div, {exp(a), plusOne(exp(a))});
    case 13: return apply(ScalarOp::Log1p, {exp(neg(apply(ScalarOp::Abs, {input()})))});
    case 14: return apply(ScalarOp::Max, {input(), zero});
    case 15: return apply(ScalarOp::Select, {apply(ScalarOp::Gt, {input(), zero}), a, b});
    case 16: {
      ExprRef x = input();
      return apply(ScalarOp::Select, {apply(ScalarOp::Gt, {x, zero}), apply(ScalarOp::Log, {x}), zero});
    }
    case 17: return apply(ScalarOp::Sub, {number(1), a});
    case 18: return apply(ScalarOp::Tanh, {a});
    case 19: return apply(ScalarOp::Pow, {a, number(2)});
    default: return apply(ScalarOp::Div, {number(1), apply(ScalarOp::Add, {a, b})});
    }
  }

  graph::ExprPool& exprs() { return program_.module->exprs; }
  std::span<const Symbol> symbols() const { return function_->symbols; }
  int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  bool chance(int percent) { return between(1, 100) <= percent; }
  double real(double low, double high) { return std::uniform_real_distribution<double>(low, high)(random_); }
  template <class T> T& pick(std::vector<T>& items) {
    return items[static_cast<size_t>(between(0, static_cast<int>(items.size()) - 1))];
  }

  Dim randomExtent() {
    if (!function_->symbols.empty() && chance(25)) {
      return Dim::symbol(0) + Dim(chance(15) ? 1 : 0);
    }
    return Dim(chance(8) ? 1 : between(2, 5));
  }

  int64_t valueOf(const Dim& dim) {
    std::vector<int64_t> values;
    for (const Symbol& symbol : function_->symbols) {
      values.push_back(program_.environment.symbols.at(symbol.name));
    }
    return dim.evaluate(values);
  }

  Tensor randomTensor(const TensorType& type) {
    std::vector<int64_t> dims;
    for (const Dim& dim : type.dims) {
      dims.push_back(valueOf(dim));
    }
    Tensor tensor = Tensor::zeros(type.dtype, dims);
    for (int64_t i = 0; i < tensor.size(); ++i) {
      tensor.set(i, type.bound ? between(0, static_cast<int>(valueOf(*type.bound)) - 1) : real(-1.5, 1.5));
    }
    return tensor;
  }

  /// Parameters have static extents; a tensor over N is an input.
  void addParameter() {
    TensorType type{dtype_, {}, std::nullopt};
    int rank = between(0, 3);
    for (int i = 0; i < rank; ++i) {
      type.dims.push_back(randomExtent());
    }
    std::string name = "p" + std::to_string(pool_.size());
    bool isStatic = std::ranges::all_of(type.dims, [](const Dim& dim) { return dim.isStatic(); });
    Op* op = function_->append(isStatic ? OpKind::Param : OpKind::Input, {}, {type}, {});
    op->symbol = name;
    op->results[0]->name = name;
    if (isStatic) {
      program_.module->persistents.push_back({graph::Persistent::Kind::Parameter, name, type, {}});
      program_.environment.persistents[name] = randomTensor(type);
    } else {
      program_.environment.inputs[name] = randomTensor(type);
    }
    pool_.push_back(op->results[0]);
  }

  Value* addTable(const Dim& extent, const Dim& bound) {
    TensorType type{DType::I32, {extent}, bound};
    Op* op = function_->append(OpKind::Input, {}, {type}, {});
    op->symbol = "t" + std::to_string(tables_++);
    op->results[0]->name = op->symbol;
    program_.environment.inputs[op->symbol] = randomTensor(type);
    return op->results[0];
  }

  /// A new op where the program grows: at the end of the innermost scan's body, or of the function.
  Op* append(OpKind kind, std::vector<Value*> operands, std::vector<TensorType> types) {
    if (scans_.empty()) {
      return function_->append(kind, std::move(operands), std::move(types), {});
    }
    Op* op = function_->createOp(kind, std::move(operands), std::move(types), {});
    scans_.back()->body_block->ops.insert(graph::bodyEnd(*scans_.back()), op);
    return op;
  }

  // One comp under construction.

  std::vector<IndexVar> vars_; // dims, then reduced
  std::vector<Value*> operands_;

  void startComp(int dims, int reduced, Value* like) {
    vars_.clear();
    operands_.clear();
    constexpr int64_t mostPoints = 4096; // the interpreter visits each of them for each derivative
    int64_t points = 1;
    for (int i = 0; i < dims + reduced; ++i) {
      // Often the extent of a dimension that is read, so that bare subscripts fit.
      bool fits = like != nullptr && !like->type.dims.empty() && chance(70);
      Dim extent = fits ? pick(like->type.dims) : randomExtent();
      if (points * valueOf(extent) > mostPoints) {
        extent = randomExtent();
      }
      points *= valueOf(extent);
      vars_.push_back({(i < dims ? "i" : "k") + std::to_string(i), extent});
    }
  }

  ExprRef index(size_t i) { return exprs().index(static_cast<uint32_t>(i)); }
  ExprRef integer(int64_t i) { return exprs().integer(i); }
  ExprRef apply(ScalarOp op, std::vector<ExprRef> args) { return exprs().apply(op, std::move(args)); }
  ExprRef number(double x) { return exprs().number(static_cast<float>(x), dtype_); }
  uint32_t operand(Value* value) { return algebra::operandPosition(operands_, value); }

  ExprRef affine() {
    ExprRef sum = integer(between(-2, 3));
    int terms = between(1, 2);
    for (int i = 0; i < terms && !vars_.empty(); ++i) {
      ExprRef var = index(static_cast<size_t>(between(0, static_cast<int>(vars_.size()) - 1)));
      int factor = chance(60) ? 1 : between(-3, 3);
      ExprRef term = factor == 1 ? var : apply(ScalarOp::Mul, {integer(factor), var});
      sum = apply(chance(20) ? ScalarOp::Sub : ScalarOp::Add, {sum, term});
    }
    return sum;
  }

  ExprRef subscriptFor(const Dim& extent) {
    std::vector<ExprRef> bare;
    for (size_t i = 0; i < vars_.size(); ++i) {
      if (vars_[i].extent == extent) {
        bare.push_back(index(i));
      }
    }
    int kind = between(1, 100);
    if (kind <= 12 && !scans_.empty()) {
      if (Value* counter =
              graph::counterOf(*scans_[static_cast<size_t>(between(0, static_cast<int>(scans_.size()) - 1))])) {
        return exprs().access(operand(counter), DType::I32, {});
      }
    }
    if (kind <= 55 && !bare.empty()) {
      return pick(bare);
    }
    if (kind <= 75 || vars_.empty()) {
      return affine();
    }
    if (kind <= 88) {
      ExprRef inner =
          chance(60) ? index(static_cast<size_t>(between(0, static_cast<int>(vars_.size()) - 1))) : affine();
      ExprRef divisor = integer(between(2, 3));
      ExprRef part = apply(chance(50) ? ScalarOp::Div : ScalarOp::Mod, {inner, divisor});
      if (chance(40)) {
        ExprRef other = index(static_cast<size_t>(between(0, static_cast<int>(vars_.size()) - 1)));
        part = apply(ScalarOp::Add, {apply(ScalarOp::Mul, {integer(2), part}),
                                     chance(50) ? other : apply(ScalarOp::Mod, {other, integer(2)})});
      }
      return part;
    }
    if (extent.min(function_->symbols) < 1) {
      return affine(); // no integer lies below the bound
    }
    auto var = static_cast<size_t>(between(0, static_cast<int>(vars_.size()) - 1));
    Value* table = addTable(vars_[var].extent, extent);
    ExprRef entry = exprs().access(operand(table), DType::I32, {index(var)});
    return chance(75) ? entry : apply(ScalarOp::Add, {entry, chance(50) ? integer(1) : index(var)});
  }

  ExprRef access(Value* value) {
    std::vector<ExprRef> subscripts;
    for (const Dim& dim : value->type.dims) {
      subscripts.push_back(subscriptFor(dim));
    }
    graph::IndexDomain domain{{}, {}, {symbols().begin(), symbols().end()}};
    for (const IndexVar& var : vars_) {
      domain.extents.push_back(var.extent);
    }
    uint32_t position = operand(value);
    for (const Value* v : operands_) {
      domain.operands.push_back(v->type);
    }
    graph::RangeAnalysis ranges(domain);
    bool inside = true;
    for (size_t d = 0; d < subscripts.size(); ++d) {
      inside = inside && ranges.alwaysInRange(subscripts[d], value->type.dims[d]);
    }
    std::optional<double> fill;
    if (!inside || (chance(10) && !subscripts.empty())) {
      fill = chance(50) ? 0 : 0.5;
    }
    return exprs().access(position, value->type.dtype, subscripts, fill);
  }

  ExprRef condition() {
    if (vars_.empty() || chance(30)) {
      return apply(chance(50) ? ScalarOp::Lt : ScalarOp::Ge, {access(pick(pool_)), number(real(-0.5, 0.5))});
    }
    ExprRef left = affine();
    ExprRef right = affine();
    ScalarOp op = chance(40) ? ScalarOp::Lt : chance(40) ? ScalarOp::Ne : chance(50) ? ScalarOp::Le : ScalarOp::Eq;
    return apply(op, {left, right});
  }

  /// A value that depends on the pool, of moderate size.
  ExprRef body(int depth) {
    if (depth <= 0) {
      return access(pick(pool_));
    }
    auto one = [&] { return body(depth - 1); };
    auto square = [&](ExprRef e) { return apply(ScalarOp::Mul, {e, e}); };
    switch (between(0, 24)) {
    case 0: return apply(ScalarOp::Add, {one(), one()});
    case 1: return apply(ScalarOp::Sub, {one(), one()});
    case 2:
    case 3:
    case 4: return apply(ScalarOp::Mul, {one(), one()});
    case 5: return apply(ScalarOp::Div, {one(), apply(ScalarOp::Add, {number(1.5), square(one())})});
    case 6: return apply(ScalarOp::Exp, {apply(ScalarOp::Tanh, {one()})});
    case 7: return apply(ScalarOp::Log, {apply(ScalarOp::Add, {number(1.25), square(one())})});
    case 8: return apply(ScalarOp::Sqrt, {apply(ScalarOp::Add, {number(1), square(one())})});
    case 9: return apply(ScalarOp::Sin, {one()});
    case 10: return apply(ScalarOp::Cos, {one()});
    case 11: return apply(ScalarOp::Tanh, {one()});
    case 12: { // the logistic function
      ExprRef power = apply(ScalarOp::Exp, {apply(ScalarOp::Neg, {one()})});
      return apply(ScalarOp::Div, {number(1), apply(ScalarOp::Add, {number(1), power})});
    }
    case 13: return apply(ScalarOp::Abs, {one()});
    case 14: return apply(ScalarOp::Max, {one(), chance(50) ? number(0) : one()});
    case 15: return apply(ScalarOp::Min, {one(), chance(50) ? number(0.25) : one()});
    case 16: return apply(ScalarOp::Select, {condition(), one(), chance(50) ? number(0) : one()});
    case 17:
      return apply(ScalarOp::Pow, {apply(ScalarOp::Add, {number(1), square(one())}),
                                   chance(50) ? number(1.5) : apply(ScalarOp::Tanh, {one()})});
    case 18: return apply(ScalarOp::Erf, {one()});
    case 19: return apply(ScalarOp::Log1p, {square(one())});
    case 20: return apply(ScalarOp::Neg, {one()});
    case 21: return apply(ScalarOp::Mul, {number(real(-2, 2)), one()});
    case 22: {
      ExprRef shared = one();
      return apply(ScalarOp::Mul, {shared, apply(ScalarOp::Sin, {shared})});
    }
    case 23: {
      ExprRef value = one();
      return vars_.empty() ? value : apply(ScalarOp::Mul, {exprs().cast(dtype_, affine()), value});
    }
    default: return apply(ScalarOp::Rsqrt, {apply(ScalarOp::Add, {number(0.75), square(one())})});
    }
  }

  void finishComp(size_t dims, Reduction reduction, ExprRef body) {
    Op* op = append(OpKind::Comp, operands_, {{dtype_, {}, std::nullopt}});
    op->dims.assign(vars_.begin(), vars_.begin() + static_cast<std::ptrdiff_t>(dims));
    op->reduced.assign(vars_.begin() + static_cast<std::ptrdiff_t>(dims), vars_.end());
    for (const IndexVar& var : op->dims) {
      op->results[0]->type.dims.push_back(var.extent);
    }
    op->reduction = reduction;
    op->body = body;
    graph::normalizeOperands(exprs(), *op);
    pool_.push_back(op->results[0]);
  }

  void addComp() {
    int dims = between(0, 3);
    int reduced = chance(50) ? 0 : between(1, 2);
    startComp(dims, reduced, pick(pool_));
    Reduction reduction = Reduction::None;
    if (reduced > 0) {
      int kind = between(1, 100);
      reduction = kind <= 55   ? Reduction::Add
                  : kind <= 70 ? Reduction::Mul
                  : kind <= 85 ? Reduction::Max
                               : Reduction::Min;
      // In a scan nothing limits what becomes of the product: cos(x²⁵) has no difference quotients.
      bool high = !scans_.empty() && reduced > 1;
      reduction = high && reduction == Reduction::Mul ? Reduction::Add : reduction;
    }
    finishComp(static_cast<size_t>(dims), reduction, body(between(1, 3)));
  }

  void addScatter() {
    startComp(between(1, 2), 0, pick(pool_));
    TensorType type{dtype_, {randomExtent()}, std::nullopt};
    ExprRef at = nullptr;
    ExprRef value = body(2);
    if (chance(50)) {
      Value* table = addTable(vars_[0].extent, type.dims[0]);
      at = exprs().access(operand(table), DType::I32, {index(0)});
    } else {
      type.dims[0] = vars_[0].extent;
      at = index(0);
    }
    Op* op = append(OpKind::Scatter, operands_, {type});
    op->dims = vars_;
    op->reduction = Reduction::Add;
    op->body = value;
    op->at = {at};
    graph::normalizeOperands(exprs(), *op);
    pool_.push_back(op->results[0]);
  }

  void addReshape() {
    Value* value = pick(pool_);
    bool isStatic = std::ranges::all_of(value->type.dims, [](const Dim& dim) { return dim.isStatic(); });
    if (!isStatic || value->type.dims.empty()) {
      return;
    }
    int64_t size = 1;
    for (const Dim& dim : value->type.dims) {
      size *= dim.constant();
    }
    TensorType type{dtype_, {}, std::nullopt};
    if (size % 2 == 0 && chance(60)) {
      type.dims = {Dim(2), Dim(size / 2)};
    } else {
      type.dims = {Dim(size)};
    }
    pool_.push_back(append(OpKind::Reshape, {value}, {type})->results[0]);
  }

  void addConcat() {
    Value* value = pick(pool_);
    if (value->type.dims.empty()) {
      return;
    }
    auto axis = static_cast<uint32_t>(between(0, static_cast<int>(value->type.rank()) - 1));
    Value* other = value;
    for (Value* candidate : pool_) {
      bool fits = candidate->type.rank() == value->type.rank();
      for (size_t d = 0; fits && d < value->type.rank(); ++d) {
        fits = d == axis || candidate->type.dims[d] == value->type.dims[d];
      }
      other = fits ? candidate : other;
    }
    TensorType type = value->type;
    type.dims[axis] = type.dims[axis] + other->type.dims[axis];
    if (valueOf(type.dims[axis]) > 12) {
      return;
    }
    Op* op = append(OpKind::Concat, {value, other}, {type});
    op->axis = axis;
    pool_.push_back(op->results[0]);
  }

  /// Values stay of moderate size, so that the loss is well enough conditioned for finite differences.
  void limitLast() {
    if (!scans_.empty()) {
      return; // the scan is not complete; its results are limited
    }
    const Value* last = pool_.back();
    graph::Interpreter interpreter(*function_);
    auto values = interpreter.evaluate(program_.environment, {&last, 1});
    double largest = 0;
    for (int64_t i = 0; values && i < (*values)[0].size(); ++i) {
      largest = std::max(largest, std::fabs((*values)[0].get(i)));
    }
    constexpr double limit = 8;
    if (largest <= limit) {
      return;
    }
    vars_.clear();
    operands_.clear();
    Value* value = pool_.back();
    pool_.pop_back();
    std::vector<ExprRef> subscripts;
    for (size_t d = 0; d < value->type.rank(); ++d) {
      vars_.push_back({"i" + std::to_string(d), value->type.dims[d]});
      subscripts.push_back(index(d));
    }
    ExprRef element = exprs().access(operand(value), value->type.dtype, subscripts);
    finishComp(vars_.size(), Reduction::None, apply(ScalarOp::Mul, {number(limit / largest), element}));
  }

  /// bounded(f(pool)) over the extents of a type: what a carry becomes stays of moderate size.
  Value* boundedLike(const TensorType& type) {
    vars_.clear();
    operands_.clear();
    for (const Dim& dim : type.dims) {
      vars_.push_back({"i" + std::to_string(vars_.size()), dim});
    }
    ExprRef value = body(between(1, 2));
    finishComp(vars_.size(), Reduction::None, apply(chance(70) ? ScalarOp::Tanh : ScalarOp::Sin, {value}));
    Value* result = pool_.back();
    pool_.pop_back();
    return result;
  }

  /// A number of steps that divides them.
  uint32_t randomSaveEvery(const Dim& steps) {
    int64_t every = between(1, 4);
    while (every > 1 && (!steps.isStatic() || steps.constant() % every != 0)) {
      --every;
    }
    return static_cast<uint32_t>(every);
  }

  /// In a scan: the gradient of Σ sin(u)·tanh(u·v) with respect to u = carry / 2, where v is of the body. Conditions of
  /// the program may depend on the carry, which has no derivative; nothing else depends on u.
  void addGradInStep() {
    const Op& scan = *scans_.back();
    Value* carry = graph::carryOf(scan, static_cast<size_t>(between(0, static_cast<int>(scan.carryCount) - 1)));
    DType type = carry->type.dtype;
    if (!isFloat(type)) {
      return;
    }
    std::vector<IndexVar> dims = autodiff::elementIndices(carry->type);
    std::vector<ExprRef> at = algebra::indexRange(exprs(), 0, dims.size());
    Op* half = append(OpKind::Comp, {carry}, {TensorType{type, carry->type.dims, std::nullopt}});
    half->dims = dims;
    half->body = apply(ScalarOp::Mul, {exprs().number(0.5, type), exprs().access(0, type, at)});
    Value* u = half->results[0];
    Op* loss = append(OpKind::Comp, {u, boundedLike(u->type)}, {TensorType{type, {}, std::nullopt}});
    loss->reduced = std::move(dims);
    loss->reduction = loss->reduced.empty() ? Reduction::None : Reduction::Add;
    ExprRef ofU = exprs().access(0, type, at);
    ExprRef product = apply(ScalarOp::Mul, {ofU, exprs().access(1, type, at)});
    loss->body = apply(ScalarOp::Mul, {apply(ScalarOp::Sin, {ofU}), apply(ScalarOp::Tanh, {product})});
    Value* gradient = append(OpKind::Grad, {loss->results[0], u}, {u->type})->results[0];
    Op* limited = append(OpKind::Comp, {gradient}, {u->type}); // what passes through several steps must not grow
    limited->dims = autodiff::elementIndices(u->type);
    limited->body = apply(ScalarOp::Tanh, {exprs().access(0, type, at)});
    pool_.push_back(limited->results[0]);
  }

  void addScan() {
    const Value* like = pick(pool_);
    Dim steps = like->type.dims.empty() || chance(40) ? randomExtent() : like->type.dims[0];
    constexpr int64_t mostSteps = 12;
    if (valueOf(steps) > mostSteps) {
      steps = randomExtent();
    }
    if (!steps.isStatic() && chance(30)) {
      steps = steps - Dim(1);
    }
    std::vector<Value*> initial;
    for (int i = between(1, 3); i > 0; --i) {
      initial.push_back(pick(pool_));
    }
    std::vector<Value*> sliced;
    for (Value* value : pool_) {
      if (sliced.size() < 2 && !value->type.dims.empty() && value->type.dims[0] == steps && chance(80)) {
        sliced.push_back(value);
      }
    }
    bool ends = chance(20); // early, by its counter: differences must not change which steps run
    if (ends) {
      Op* running = append(OpKind::Comp, {}, {TensorType{DType::Bool, {}, std::nullopt}});
      running->body = exprs().boolean(false);
      initial.insert(initial.begin(), running->results[0]);
    }
    Op* scan = graph::createScan(*function_, {"t", steps}, chance(40), ends || chance(50), initial, sliced, {});
    scan->ends = ends;
    if (chance(35)) {
      scan->saveEvery = randomSaveEvery(steps);
    }
    std::vector<Value*> outside = pool_;
    for (size_t i = ends ? 1 : 0; i < graph::firstCapture(*scan); ++i) {
      pool_.push_back(graph::carryOf(*scan, i)); // and the slices behind
      pool_.push_back(pool_.back());             // rather these than what stands outside
    }
    scans_.push_back(scan);
    for (int i = between(0, 3); i > 0; --i) {
      addOp();
    }
    std::vector<Value*> nexts;
    if (ends) {
      Op* end = append(OpKind::Comp, {graph::counterOf(*scan)}, {TensorType{DType::Bool, {}, std::nullopt}});
      ExprRef step = exprs().access(0, DType::I32, {});
      end->body = apply(ScalarOp::Eq, {step, exprs().integer(between(0, 3))});
      nexts.push_back(end->results[0]);
    }
    for (size_t i = nexts.size(); i < scan->carryCount; ++i) {
      bool keeps = chance(10); // or changes places with another one
      Value* other = graph::carryOf(*scan, static_cast<size_t>(between(0, static_cast<int>(scan->carryCount) - 1)));
      const TensorType& type = initial[i]->type;
      nexts.push_back(keeps && other->type == type ? other : boundedLike(type));
    }
    std::vector<Value*> emits;
    for (int i = between(0, 2); i > 0; --i) {
      Value* value = pick(pool_);
      constexpr size_t maxRankOfEmitted = 3;
      if (value->type.rank() <= maxRankOfEmitted) {
        emits.push_back(chance(50) ? value : boundedLike(value->type));
      }
    }
    scans_.pop_back();
    graph::finishScan(*function_, *scan, nexts, emits);
    if (scans_.empty()) {
      function_->body.ops.push_back(scan);
    } else {
      scans_.back()->body_block->ops.insert(graph::bodyEnd(*scans_.back()), scan);
    }
    pool_ = std::move(outside);
    for (Value* result : scan->results) {
      if (result->type.dtype != DType::Bool) {
        pool_.push_back(result);
        limitLast();
      }
    }
  }

  /// For each first index of a value, the gradients of Σ sin(its elements) times a weight that depends on the index: in
  /// a scan that may be spread, and in one that stays a loop. The outputs "spread…" and "loop…" are equal.
  void addElementGrads(const std::vector<Value*>& wrt) {
    Value* value = pool_.back();
    if (value->type.dims.empty()) {
      return;
    }
    bool bySlice = chance(50);
    double factor = real(-1, 1);
    for (bool loop : {false, true}) {
      std::vector<Value*> sliced = bySlice ? std::vector<Value*>{value} : std::vector<Value*>{};
      Op* scan = graph::createScan(*function_, {"e", value->type.dims[0]}, false, true, {}, sliced, {});
      scan->saveEvery = loop ? 1 : 0;
      scans_.push_back(scan);
      Value* read = bySlice ? graph::sliceOf(*scan, 0) : value;
      Op* loss = append(OpKind::Comp, {read, graph::counterOf(*scan)}, {TensorType{dtype_, {}, std::nullopt}});
      std::vector<ExprRef> at = algebra::indexRange(exprs(), 0, value->type.rank() - 1);
      ExprRef counter = exprs().access(1, DType::I32, {});
      for (size_t d = 1; d < value->type.rank(); ++d) {
        loss->reduced.push_back({"k" + std::to_string(d), value->type.dims[d]});
      }
      loss->reduction = loss->reduced.empty() ? Reduction::None : Reduction::Add;
      if (!bySlice) {
        at.insert(at.begin(), counter);
      }
      ExprRef weight = apply(ScalarOp::Add, {number(factor), exprs().cast(dtype_, counter)});
      loss->body = apply(ScalarOp::Mul, {apply(ScalarOp::Sin, {exprs().access(0, dtype_, at)}), weight});
      graph::normalizeOperands(exprs(), *loss);
      std::vector<Value*> operands = {loss->results[0]};
      std::vector<TensorType> types;
      for (Value* v : wrt) { // on each of which the loss depends
        Op* more = append(OpKind::Comp, {operands[0], v, graph::counterOf(*scan)}, {loss->results[0]->type});
        std::vector<ExprRef> first(v->type.rank(), exprs().integer(0));
        std::optional<double> fill = first.empty() ? std::nullopt : std::optional<double>(0); // it may have no elements
        ExprRef step = exprs().cast(dtype_, exprs().access(2, DType::I32, {}));
        ExprRef term = apply(ScalarOp::Mul, {exprs().access(1, dtype_, first, fill), step});
        more->body = apply(ScalarOp::Add, {exprs().access(0, dtype_, {}), apply(ScalarOp::Sin, {term})});
        operands[0] = more->results[0];
        operands.push_back(v);
        types.push_back(v->type);
      }
      std::vector<Value*> gradients = append(OpKind::Grad, operands, types)->results;
      scans_.pop_back();
      graph::finishScan(*function_, *scan, {}, gradients);
      function_->body.ops.push_back(scan);
      for (size_t i = 0; i < wrt.size(); ++i) {
        Op* output = function_->append(OpKind::Output, {scan->results[i]}, {}, {});
        output->symbol = (loop ? "loop" : "spread") + std::to_string(i);
      }
    }
  }

  void addOp() {
    constexpr size_t deepest = 2;
    if (scans_.size() < deepest && chance(scans_.empty() ? 15 : 8)) {
      addScan();
      return;
    }
    if (!scans_.empty() && chance(6)) {
      addGradInStep();
      return;
    }
    int kind = between(1, 100);
    if (kind <= 84) {
      addComp();
    } else if (kind <= 92) {
      addScatter();
    } else if (kind <= 96) {
      addReshape();
    } else {
      addConcat();
    }
    limitLast();
  }

  /// Σ over all values of a bounded function of them with weights that differ from point to point.
  Value* addLoss() {
    std::vector<Value*> parts;
    for (Value* value : std::vector(pool_)) {
      vars_.clear();
      operands_.clear();
      ExprRef weight = number(0.7);
      std::vector<ExprRef> subscripts;
      for (size_t d = 0; d < value->type.rank(); ++d) {
        vars_.push_back({"k" + std::to_string(d), value->type.dims[d]});
        subscripts.push_back(index(d));
        ExprRef position = exprs().cast(dtype_, index(d));
        weight = apply(ScalarOp::Add, {weight, apply(ScalarOp::Mul, {number(real(-0.4, 0.6)), position})});
      }
      ExprRef element = exprs().access(operand(value), value->type.dtype, subscripts);
      ExprRef bounded = chance(50) ? apply(ScalarOp::Tanh, {element})
                                   : apply(ScalarOp::Sin, {apply(ScalarOp::Mul, {number(0.5), element})});
      finishComp(0, vars_.empty() ? Reduction::None : Reduction::Add, apply(ScalarOp::Mul, {weight, bounded}));
      parts.push_back(pool_.back());
      pool_.pop_back();
    }
    Value* loss = parts[0];
    for (size_t i = 1; i < parts.size(); ++i) {
      vars_.clear();
      operands_.clear();
      ExprRef a = exprs().access(operand(loss), dtype_, {});
      ExprRef b = exprs().access(operand(parts[i]), dtype_, {});
      finishComp(0, Reduction::None, apply(ScalarOp::Add, {a, b}));
      loss = pool_.back();
      pool_.pop_back();
    }
    return loss;
  }

  std::vector<Value*> addGrad(Value* loss, const std::vector<Value*>& wrt) {
    std::vector<Value*> operands = {loss};
    std::vector<TensorType> types;
    for (Value* value : wrt) {
      operands.push_back(value);
      types.push_back(value->type);
    }
    Op* op = function_->append(OpKind::Grad, operands, types, {});
    for (size_t i = 0; i < wrt.size(); ++i) {
      Op* output = function_->append(OpKind::Output, {op->results[i]}, {}, {});
      output->symbol = "g" + std::to_string(outputs_++);
    }
    return op->results;
  }

  std::mt19937_64 random_;
  RandomProgramOptions options_;
  DType dtype_;
  RandomProgram program_;
  graph::Function* function_ = nullptr;
  std::vector<Value*> pool_; // float values
  std::vector<Op*> scans_;   // whose bodies are being made, the innermost last
  int tables_ = 0;
  int outputs_ = 0;
};

} // namespace

RandomProgram makeRandomProgram(uint64_t seed, const RandomProgramOptions& options) {
  return Generator(seed, options).run();
}

RandomProgram makeExtremeProgram(uint64_t seed) { return Generator(seed, {}).runExtreme(); }

} // namespace dnn::test
