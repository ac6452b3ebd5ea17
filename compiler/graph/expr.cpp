#include "compiler/graph/expr.h"

#include "compiler/support/assert.h"
#include "runtime/types/half.h"

#include <bit>
#include <cmath>
#include <deque>
#include <limits>
#include <unordered_set>

namespace dnn::graph {

namespace {

/// Floats are told apart by their bits, so that 0.0 and -0.0 stay two constants and a NaN equals itself.
uint64_t bitsOf(double value) { return std::bit_cast<uint64_t>(value); }

void mix(size_t& hash, uint64_t value) { hash ^= value + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2); }

struct Hash {
  size_t operator()(ExprRef e) const {
    size_t hash = static_cast<size_t>(e->kind);
    mix(hash, static_cast<uint64_t>(e->dtype));
    mix(hash, bitsOf(e->number));
    mix(hash, static_cast<uint64_t>(e->integer));
    mix(hash, e->index);
    mix(hash, static_cast<uint64_t>(e->extent.constant()));
    for (auto [symbol, factor] : e->extent.terms()) {
      mix(hash, symbol);
      mix(hash, static_cast<uint64_t>(factor));
    }
    mix(hash, e->operand);
    mix(hash, e->fill ? bitsOf(*e->fill) : 1);
    mix(hash, static_cast<uint64_t>(e->op));
    mix(hash, static_cast<uint64_t>(e->distribution));
    mix(hash, e->site);
    for (ExprRef arg : e->args) {
      mix(hash, reinterpret_cast<uintptr_t>(arg));
    }
    return hash;
  }
};

struct Equal {
  bool operator()(ExprRef a, ExprRef b) const {
    bool sameFill = a->fill.has_value() == b->fill.has_value() && (!a->fill || bitsOf(*a->fill) == bitsOf(*b->fill));
    return a->kind == b->kind && a->dtype == b->dtype && bitsOf(a->number) == bitsOf(b->number) &&
           a->integer == b->integer && a->index == b->index && a->extent == b->extent && a->operand == b->operand &&
           sameFill && a->op == b->op && a->distribution == b->distribution && a->site == b->site && a->args == b->args;
  }
};

double canonical(double value, DType dtype) {
  if (std::isnan(value)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  return dtype == DType::F64 ? value : static_cast<double>(rounded(dtype, static_cast<float>(value)));
}

} // namespace

struct ExprPool::Impl {
  std::deque<Expr> nodes; // addresses stay valid as it grows
  std::unordered_set<ExprRef, Hash, Equal> known;
};

ExprPool::ExprPool() : impl_(new Impl) {}
ExprPool::~ExprPool() { delete impl_; }

ExprRef ExprPool::intern(Expr e) {
  // A float constant is kept as the value it has in its type, and so is a fill value once its tensor's type is known.
  if (e.kind == ExprKind::Const) {
    e.number = canonical(e.number, e.dtype);
  }
  if (e.fill) {
    e.fill = canonical(*e.fill, e.dtype);
  }
  if (auto found = impl_->known.find(&e); found != impl_->known.end()) {
    return *found;
  }
  impl_->nodes.push_back(std::move(e));
  ExprRef node = &impl_->nodes.back();
  impl_->known.insert(node);
  return node;
}

ExprRef ExprPool::number(double value, DType dtype) {
  DNN_ASSERT(isFloat(dtype), "a number has a float type");
  return intern({.kind = ExprKind::Const, .dtype = dtype, .number = value});
}

ExprRef ExprPool::integer(int64_t value, DType dtype) {
  DNN_ASSERT(isInteger(dtype), "an integer has an integer type");
  return intern({.kind = ExprKind::Const, .dtype = dtype, .integer = value});
}

ExprRef ExprPool::boolean(bool value) {
  return intern({.kind = ExprKind::Const, .dtype = DType::Bool, .integer = value ? 1 : 0});
}

ExprRef ExprPool::index(uint32_t position) {
  return intern({.kind = ExprKind::Index, .dtype = DType::I32, .index = position});
}

ExprRef ExprPool::extent(Dim dim) {
  return intern({.kind = ExprKind::Extent, .dtype = DType::I32, .extent = std::move(dim)});
}

ExprRef ExprPool::access(uint32_t operand, DType dtype, std::vector<ExprRef> subscripts, std::optional<double> fill) {
  return intern(
      {.kind = ExprKind::Access, .dtype = dtype, .operand = operand, .fill = fill, .args = std::move(subscripts)});
}

ExprRef ExprPool::apply(ScalarOp op, std::vector<ExprRef> args) {
  std::optional<DType> type = resultType(op, args);
  DNN_ASSERT(type, "the operands have the number and the types that the operator wants");
  return intern({.kind = ExprKind::Apply, .dtype = *type, .op = op, .args = std::move(args)});
}

ExprRef ExprPool::cast(DType to, ExprRef value) {
  return intern({.kind = ExprKind::Cast, .dtype = to, .args = {value}});
}

ExprRef ExprPool::draw(Distribution d, uint32_t site, ExprRef lo, ExprRef hi) {
  return intern({.kind = ExprKind::Draw, .dtype = DType::F32, .distribution = d, .site = site, .args = {lo, hi}});
}

std::optional<DType> resultType(ScalarOp op, std::span<const ExprRef> args) {
  const ScalarOpInfo& info = infoOf(op);
  if (args.size() != static_cast<size_t>(info.arity)) {
    return std::nullopt;
  }
  if (op == ScalarOp::Select) {
    bool fits = args[0]->dtype == DType::Bool && args[1]->dtype == args[2]->dtype;
    return fits ? std::optional(args[1]->dtype) : std::nullopt;
  }
  DType type = args[0]->dtype;
  for (ExprRef arg : args) {
    if (arg->dtype != type) {
      return std::nullopt;
    }
  }
  if (isStorageOnly(type) && op != ScalarOp::StopGrad) {
    return std::nullopt;
  }
  switch (info.result) {
  case ScalarResult::Same: return type == DType::Bool ? std::nullopt : std::optional(type);
  case ScalarResult::Float: return isFloat(type) ? std::optional(type) : std::nullopt;
  case ScalarResult::Int: return isInteger(type) ? std::optional(type) : std::nullopt;
  case ScalarResult::Bool: {
    bool logical = op == ScalarOp::Not || op == ScalarOp::And || op == ScalarOp::Or;
    return logical && type != DType::Bool ? std::nullopt : std::optional(DType::Bool);
  }
  }
  DNN_UNREACHABLE("every kind of result is handled");
}

} // namespace dnn::graph
