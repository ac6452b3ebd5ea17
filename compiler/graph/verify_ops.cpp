#include "compiler/graph/element_count.h"
#include "compiler/graph/text.h"
#include "compiler/graph/verifier.h"

#include <algorithm>

namespace dnn::graph {

namespace {

std::vector<Dim> extentsOf(const std::vector<IndexVar>& vars) {
  std::vector<Dim> dims;
  for (const IndexVar& var : vars) {
    dims.push_back(var.extent);
  }
  return dims;
}

/// The inputs of a helper in order: its arguments.
std::vector<const Value*> argumentsOf(const Function& function) {
  std::vector<const Value*> arguments;
  for (const Op* op : function.body.ops) {
    if (op->kind == OpKind::Input) {
      arguments.push_back(op->results.at(0));
    }
  }
  return arguments;
}

/// A dim of the callee over the symbols of the caller, which are matched by name; none if one is missing or larger.
std::optional<Dim> translate(const Dim& dim, const Function& callee, const Function& caller) {
  Dim result(dim.constant());
  for (auto [id, factor] : dim.terms()) {
    if (id >= callee.symbols.size()) {
      return std::nullopt;
    }
    const Symbol& wanted = callee.symbols[id];
    auto found = std::ranges::find(caller.symbols, wanted.name, &Symbol::name);
    if (found == caller.symbols.end() || found->max > wanted.max) {
      return std::nullopt;
    }
    result = result + Dim::symbol(static_cast<SymbolId>(found - caller.symbols.begin()), factor);
  }
  return result;
}

/// Equal element type and extents; bounds may differ.
bool fits(const TensorType& formal, const Function& callee, const TensorType& actual, const Function& caller) {
  if (formal.dtype != actual.dtype || formal.rank() != actual.rank()) {
    return false;
  }
  for (size_t i = 0; i < formal.rank(); ++i) {
    if (translate(formal.dims[i], callee, caller) != actual.dims[i]) {
      return false;
    }
  }
  return true;
}

} // namespace

void Verifier::checkOp(const Op& op) {
  for (const Value* v : op.results) {
    if (op.kind != OpKind::Counter) { // over no steps nothing is below its bound
      checkType(v->type);
    }
  }
  if (failed()) {
    return;
  }
  bool inHelper = function_->kind == FunctionKind::Helper;
  switch (op.kind) {
  case OpKind::Input:
    if (!inputs_.insert(op.symbol).second) {
      fail("there are two inputs of this name");
    }
    return;
  case OpKind::Param:
  case OpKind::State: checkPersistentAccess(op); return;
  case OpKind::Env:
    if (op.symbol != "step" && op.symbol != "epoch") {
      fail("env is \"step\" or \"epoch\"");
    } else if (op.results[0]->type != TensorType{.dtype = DType::I32}) {
      fail("env is an i32 scalar");
    }
    return;
  case OpKind::Comp: checkComp(op); return;
  case OpKind::Scatter: checkScatter(op); return;
  case OpKind::Reshape: checkReshape(op); return;
  case OpKind::Concat: checkConcat(op); return;
  case OpKind::Distinct: checkDistinct(op); return;
  case OpKind::CallVjp: checkCall(op); return;
  case OpKind::Grad: checkGrad(op); return;
  case OpKind::Update: inHelper ? fail("a helper updates nothing") : checkUpdate(op); return;
  case OpKind::Output:
    if (inHelper) {
      fail("a helper has no outputs, it returns values");
    } else if (!outputs_.insert(op.symbol).second) {
      fail("there are two outputs of this name");
    }
    return;
  case OpKind::Group:
  case OpKind::Scan:
  case OpKind::Counter:
  case OpKind::Carry:
  case OpKind::Slice:
  case OpKind::Next:
  case OpKind::Emit: return; // checked with their block
  }
}

void Verifier::checkType(const TensorType& type) {
  const auto& symbols = function_->symbols;
  if (type.rank() > maxRank) {
    return fail("its type has more than " + std::to_string(maxRank) + " dimensions");
  }
  for (const Dim& dim : type.dims) {
    if (!isPossibleExtent(dim, symbols)) {
      return fail("an extent of its type names an unknown symbol or leaves 32 bits");
    }
    if (dim.min(symbols) < 0) {
      return fail("the extent " + dimText(dim) + " of its type can be negative");
    }
  }
  std::optional<int64_t> elements = maxElementCount(type.dims, symbols);
  if (!elements || *elements > maxElements) {
    return fail("a tensor of type " + typeText(type) + " can have more than " + std::to_string(maxElements) +
                " elements");
  }
  if (!type.bound) {
    return;
  }
  if (!isInteger(type.dtype)) {
    return fail("only an integer tensor has a bound, this is " + typeText(type));
  }
  if (!isPossibleExtent(*type.bound, symbols) || type.bound->min(symbols) < 1) {
    return fail("a bound names an unknown symbol, leaves 32 bits or can be less than 1");
  }
}

void Verifier::checkComp(const Op& op) {
  if (op.dims.size() + op.reduced.size() > 2 * maxRank) {
    return fail("it has more than " + std::to_string(2 * maxRank) + " indices");
  }
  for (const auto* vars : {&op.dims, &op.reduced}) {
    for (const IndexVar& var : *vars) {
      if (!isPossibleExtent(var.extent, function_->symbols) || var.extent.min(function_->symbols) < 0) {
        return fail("the extent of index `" + var.name +
                    "` names an unknown symbol, leaves 32 bits or can be negative");
      }
    }
  }
  if ((op.reduction == Reduction::None) != op.reduced.empty()) {
    return fail("a reduction and its indices come together");
  }
  if (!op.at.empty()) {
    return fail("only a scatter has subscripts of its own");
  }
  if (op.results[0]->type.dims != extentsOf(op.dims)) {
    return fail("its type " + typeText(op.results[0]->type) + " does not have the extents of its indices");
  }
  checkBody(op);
  if (!failed()) {
    checkCompType(op);
  }
  if (!failed() && op.results[0]->type.bound) {
    checkCompBound(op);
  }
}

void Verifier::checkCompType(const Op& op) {
  DType body = op.body->dtype;
  DType result = op.results[0]->type.dtype;
  auto mismatch = [&](std::string_view wanted) {
    fail("the body is " + std::string(nameOf(body)) + " and the result " + std::string(nameOf(result)) + "; " +
         std::string(wanted));
  };
  switch (op.reduction) {
  case Reduction::None:
    if (body != result) {
      mismatch("they are the same type");
    }
    return;
  case Reduction::Add:
  case Reduction::Mul:
  case Reduction::Max:
  case Reduction::Min:
    if (body != result || body == DType::Bool || isStorageOnly(body)) {
      mismatch("this reduction has numbers of one type");
    }
    return;
  case Reduction::ArgMax:
  case Reduction::ArgMin: {
    std::optional<int64_t> points = maxElementCount(extentsOf(op.reduced), function_->symbols);
    if (body == DType::Bool || isStorageOnly(body) || result != DType::I32) {
      mismatch("this reduction has numbers and gives an i32");
    } else if (!points || *points > maxElements) {
      fail("the positions of its reduction do not fit an i32");
    }
    return;
  }
  case Reduction::Any:
  case Reduction::All:
    if (body != DType::Bool || result != DType::Bool) {
      mismatch("this reduction has bools");
    }
    return;
  }
}

/// A bound is what subscripts are proved with, so it has to be proved itself.
void Verifier::checkCompBound(const Op& op) {
  const Dim& bound = *op.results[0]->type.bound;
  bool proved = false;
  switch (op.reduction) {
  case Reduction::None: proved = RangeAnalysis(op, function_->symbols).alwaysInRange(op.body, bound); break;
  case Reduction::Max:
  case Reduction::Min:
    // Over no points these are the ends of the type.
    proved = RangeAnalysis(op, function_->symbols).alwaysInRange(op.body, bound) &&
             std::ranges::all_of(op.reduced, [&](const IndexVar& v) { return v.extent.min(function_->symbols) >= 1; });
    break;
  case Reduction::ArgMax:
  case Reduction::ArgMin: {
    auto points = elementCount(extentsOf(op.reduced));
    Dim count;
    bool linear = points.has_value();
    for (const auto& [monomial, coefficient] : points.value_or(Polynomial())) {
      linear &= monomial.size() <= 1;
      count = count + (monomial.empty() ? Dim(coefficient) : Dim::symbol(monomial[0], coefficient));
    }
    proved = linear && isPossibleExtent(count, function_->symbols) && (bound - count).min(function_->symbols) >= 0;
    break;
  }
  case Reduction::Add:
  case Reduction::Mul:
  case Reduction::Any:
  case Reduction::All: break;
  }
  if (!proved) {
    fail("its values are not proved to lie below the bound " + dimText(bound));
  }
}

void Verifier::checkScatter(const Op& op) {
  const TensorType& type = op.results[0]->type;
  if (op.dims.size() > 2 * maxRank) {
    return fail("it has more than " + std::to_string(2 * maxRank) + " indices");
  }
  for (const IndexVar& var : op.dims) {
    if (!isPossibleExtent(var.extent, function_->symbols) || var.extent.min(function_->symbols) < 0) {
      return fail("the extent of index `" + var.name + "` names an unknown symbol, leaves 32 bits or can be negative");
    }
  }
  if (op.reduction != Reduction::Add || !op.reduced.empty()) {
    return fail("a scatter adds, and has no reduced indices");
  }
  if (type.bound) {
    return fail("the sums of a scatter have no bound");
  }
  if (op.at.size() != type.rank()) {
    return fail(std::to_string(op.at.size()) + " subscripts for a result of type " + typeText(type));
  }
  checkBody(op);
  if (failed()) {
    return;
  }
  if (op.body->dtype != type.dtype || type.dtype == DType::Bool || isStorageOnly(type.dtype)) {
    return fail("the body is " + std::string(nameOf(op.body->dtype)) + " and the result " +
                std::string(nameOf(type.dtype)) + "; they are numbers of one type");
  }
  RangeAnalysis ranges(op, function_->symbols);
  for (size_t i = 0; i < op.at.size(); ++i) {
    if (!isInteger(op.at[i]->dtype) || !ranges.alwaysInRange(op.at[i], type.dims[i])) {
      return fail("subscript " + std::to_string(i) + " is not proved to lie within " + dimText(type.dims[i]));
    }
  }
}

void Verifier::checkReshape(const Op& op) {
  const TensorType& from = op.operands[0]->type;
  const TensorType& to = op.results[0]->type;
  auto before = elementCount(from.dims);
  auto after = elementCount(to.dims);
  if (from.dtype != to.dtype || (to.bound && to.bound != from.bound)) {
    fail("it turns " + typeText(from) + " into " + typeText(to) + "; only the extents may change");
  } else if (!before || !after || before != after) {
    fail(typeText(from) + " and " + typeText(to) + " do not have the same number of elements");
  }
}

void Verifier::checkConcat(const Op& op) {
  const TensorType& to = op.results[0]->type;
  if (op.operands.empty() || op.axis >= to.rank()) {
    return fail("it joins at least one tensor along a dimension of its result");
  }
  Dim sum;
  for (const Value* v : op.operands) {
    if (v->type.dtype != to.dtype || v->type.rank() != to.rank()) {
      return fail(name(v) + " is " + typeText(v->type) + " and cannot be a part of " + typeText(to));
    }
    for (size_t i = 0; i < to.rank(); ++i) {
      if (i != op.axis && v->type.dims[i] != to.dims[i]) {
        return fail(name(v) + " is " + typeText(v->type) + " and cannot be a part of " + typeText(to));
      }
    }
    if (to.bound && (!v->type.bound || (*to.bound - *v->type.bound).min(function_->symbols) < 0)) {
      return fail("the values of " + name(v) + " are not proved to lie below the bound " + dimText(*to.bound));
    }
    sum = sum + v->type.dims[op.axis];
  }
  if (sum != to.dims[op.axis]) {
    fail("the parts are " + dimText(sum) + " long along axis " + std::to_string(op.axis) + ", the result is " +
         typeText(to));
  }
}

void Verifier::checkPersistentAccess(const Op& op) {
  const Persistent* p = module_.findPersistent(op.symbol);
  if (p == nullptr) {
    return fail("there is no persistent tensor of this path");
  }
  if ((op.kind == OpKind::Param) != (p->kind == Persistent::Kind::Parameter)) {
    return fail("the persistent tensor is a " + std::string(nameOf(p->kind)));
  }
  if (op.results[0]->type != p->type) {
    fail("the persistent tensor is " + p->type.str({}) + ", not " + typeText(op.results[0]->type));
  }
}

void Verifier::checkDistinct(const Op& op) {
  const TensorType& keys = op.operands[0]->type;
  if (keys.dtype != DType::I32 || !keys.bound || keys.rank() == 0) {
    return fail("keys are a tensor of bounded i32, this is " + typeText(keys));
  }
  std::optional<Dim> count = linearElementCount(keys.dims);
  if (!count) {
    return fail("the number of the keys is no linear form");
  }
  const TensorType places{DType::I32, keys.dims, count};
  const TensorType rows{DType::I32, {*count}, keys.bound};
  if (op.results[0]->type != places || op.results[1]->type != rows ||
      op.results[2]->type != TensorType{DType::I32, {}, std::nullopt}) {
    fail("its results are not " + typeText(places) + ", " + typeText(rows) + " and i32");
  }
}

void Verifier::checkUpdate(const Op& op) {
  const Persistent* p = module_.findPersistent(op.symbol);
  if (p == nullptr) {
    return fail("there is no persistent tensor of this path");
  }
  if (!updates_.insert(op.symbol).second) {
    return fail("the function updates this tensor twice");
  }
  if (op.operands.size() != 1 && op.operands.size() != 3) {
    return fail("an update has a value, or the values of some rows, the rows and how many they are");
  }
  const TensorType& type = op.operands[0]->type;
  bool bounded = !p->type.bound || type.bound == p->type.bound;
  if (op.operands.size() == 3) {
    TensorType whole = type;
    const TensorType& rows = op.operands[1]->type;
    bool fits = type.rank() > 0 && type.rank() == p->type.rank();
    if (fits) {
      whole.dims[0] = p->type.dims[0];
      fits = whole.dims == p->type.dims && type.dtype == p->type.dtype && !p->type.bound && rows.dtype == DType::I32 &&
             rows.dims == std::vector<Dim>{type.dims[0]} && rows.bound &&
             (p->type.dims[0] - *rows.bound).min(function_->symbols) >= 0 &&
             op.operands[2]->type == TensorType{DType::I32, {}, std::nullopt};
    }
    if (!fits) {
      fail("the values, rows and count are not those of rows of " + p->type.str({}));
    }
    return;
  }
  if (type.dtype != p->type.dtype || type.dims != p->type.dims || !bounded) {
    fail("the persistent tensor is " + p->type.str({}) + ", the new value " + typeText(type));
  }
}

void Verifier::checkCall(const Op& op) {
  const Function* callee = module_.findFunction(op.symbol);
  if (callee == nullptr || callee->kind != FunctionKind::Helper) {
    return fail("there is no helper of this name");
  }
  std::vector<const Value*> formals = argumentsOf(*callee);
  if (formals.size() != op.operands.size() || callee->returns.size() != op.results.size()) {
    return fail("the helper has " + std::to_string(formals.size()) + " arguments and " +
                std::to_string(callee->returns.size()) + " results");
  }
  for (size_t i = 0; i < formals.size(); ++i) {
    if (!fits(formals[i]->type, *callee, op.operands[i]->type, *function_)) {
      return fail("argument " + std::to_string(i) + " is " + typeText(op.operands[i]->type) + ", the helper takes " +
                  formals[i]->type.str(callee->symbols));
    }
  }
  for (size_t i = 0; i < op.results.size(); ++i) {
    if (!fits(callee->returns[i]->type, *callee, op.results[i]->type, *function_)) {
      return fail("result " + std::to_string(i) + " is " + typeText(op.results[i]->type) + ", the helper returns " +
                  callee->returns[i]->type.str(callee->symbols));
    }
  }
  checkRule(op, *callee);
}

/// The rule takes the arguments and a gradient for each float result, and returns one for each float argument.
void Verifier::checkRule(const Op& op, const Function& callee) {
  const Function* rule = module_.findFunction(op.symbol + ".vjp");
  if (rule == nullptr || rule->kind != FunctionKind::Helper) {
    return fail("there is no helper " + printSymbol(op.symbol + ".vjp") + " with its derivative rule");
  }
  std::vector<const Value*> wanted = argumentsOf(callee);
  std::vector<const Value*> gradients;
  std::ranges::copy_if(wanted, std::back_inserter(gradients), [](const Value* v) { return isFloat(v->type.dtype); });
  std::ranges::copy_if(callee.returns, std::back_inserter(wanted),
                       [](const Value* v) { return isFloat(v->type.dtype); });
  auto sameTypes = [&](const auto& have, const auto& want) {
    return std::ranges::equal(have, want,
                              [&](const Value* a, const Value* b) { return fits(a->type, *rule, b->type, callee); });
  };
  if (!sameTypes(argumentsOf(*rule), wanted)) {
    return fail("its rule does not take the arguments and a gradient for each float result");
  }
  if (!sameTypes(rule->returns, gradients)) {
    fail("its rule does not return a gradient for each float argument");
  }
}

void Verifier::checkGrad(const Op& op) {
  if (op.operands.size() < 2 || op.results.size() != op.operands.size() - 1) {
    return fail("it has a loss, at least one value to differentiate by, and one result for each");
  }
  const TensorType& loss = op.operands[0]->type;
  if (!loss.isScalar() || !isFloat(loss.dtype)) {
    return fail("the loss is " + typeText(loss) + " instead of a float scalar");
  }
  for (size_t i = 0; i < op.results.size(); ++i) {
    const TensorType& type = op.operands[i + 1]->type;
    if (!isFloat(type.dtype)) {
      return fail(name(op.operands[i + 1]) + " is " + typeText(type) + "; only floats have a gradient");
    }
    if (TensorType wanted = gradientType(type); op.results[i]->type != wanted) {
      return fail("the gradient of " + name(op.operands[i + 1]) + " is " + typeText(op.results[i]->type) +
                  " instead of " + typeText(wanted));
    }
  }
}

} // namespace dnn::graph
