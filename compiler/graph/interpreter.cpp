#include "compiler/graph/interpreter.h"

#include "compiler/graph/body_program.h"
#include "compiler/graph/scan.h"
#include "compiler/graph/text.h"
#include "compiler/support/assert.h"
#include "runtime/types/half.h"

#include <algorithm>

namespace dnn::graph {

Tensor Tensor::zeros(DType dtype, std::vector<int64_t> dims) {
  Tensor tensor{.dtype = dtype, .dims = std::move(dims)};
  int64_t size = 1;
  for (int64_t extent : tensor.dims) {
    size *= extent;
  }
  if (isFloat(dtype)) {
    tensor.floats.resize(static_cast<size_t>(size));
  } else {
    tensor.ints.resize(static_cast<size_t>(size));
  }
  return tensor;
}

Tensor Tensor::scalar(double value, DType dtype) {
  Tensor tensor = zeros(dtype, {});
  tensor.set(0, value);
  return tensor;
}

int64_t Tensor::size() const { return static_cast<int64_t>(isFloat(dtype) ? floats.size() : ints.size()); }

void Tensor::set(int64_t i, double value) {
  if (isFloat(dtype)) {
    floats.at(static_cast<size_t>(i)) =
        isStorageOnly(dtype) ? static_cast<double>(rounded(dtype, static_cast<float>(value))) : value;
  } else {
    ints.at(static_cast<size_t>(i)) = static_cast<int64_t>(value);
  }
}

namespace {

/// A value while the function runs: its own, or somebody else's that outlives the run.
struct Slot {
  const Tensor* tensor = nullptr;
  std::unique_ptr<Tensor> owned;
};

Error errorAt(const Function& function, const Op& op, std::string message) {
  Error error{.message = "in " + printSymbol(function.name) + ", " + std::string(nameOf(op.kind))};
  if (!op.symbol.empty()) {
    error.message += " " + printSymbol(op.symbol);
  }
  error.message += ": " + message;
  error.where = placeOf(function.module, op.loc);
  return error;
}

std::string dimsText(const std::vector<int64_t>& dims) {
  std::string text = "[";
  for (int64_t extent : dims) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  }
  return text + "]";
}

} // namespace

struct Interpreter::Impl {
  const Function& function;
  InterpreterOptions options;
  /// All but groups and the bodies of scans, in order; the ops of a group stand where the group stands.
  std::vector<const Op*> ops;
  std::unordered_map<const Op*, std::vector<const Op*>> scanBodies; // in the same form
  std::vector<int64_t> symbolValues;
  std::unordered_map<const Op*, BodyProgram> programs;
  std::unordered_map<const Op*, std::unique_ptr<Interpreter>> callees;

  // While running.
  std::unordered_map<const Value*, Slot> slots;
  const Environment* environment = nullptr;
  /// A callee's inputs by port name; null for an entry point, whose inputs are the environment's.
  const std::map<std::string, const Tensor*>* arguments = nullptr;

  Impl(const Function& function, InterpreterOptions options) : function(function), options(options) {
    flatten(function.body, ops);
  }

  void flatten(const Block& block, std::vector<const Op*>& to) {
    for (const Op* op : block.ops) {
      if (op->kind == OpKind::Group) {
        flatten(*op->body_block, to);
        continue;
      }
      to.push_back(op);
      if (op->kind == OpKind::Scan) {
        flatten(*op->body_block, scanBodies[op]);
      }
    }
  }

  /// Takes over the values of the symbols; what was compiled for others is dropped.
  Status bindSymbols(const std::map<std::string, int64_t>& symbols) {
    std::vector<int64_t> values;
    for (const Symbol& symbol : function.symbols) {
      auto found = symbols.find(symbol.name);
      if (found == symbols.end()) {
        return Error{"in " + printSymbol(function.name) + ": the symbol " + symbol.name + " has no value", ""};
      }
      if (found->second < 1 || found->second > symbol.max) {
        return Error{"in " + printSymbol(function.name) + ": the symbol " + symbol.name + " is " +
                         std::to_string(found->second) + ", beyond 1.." + std::to_string(symbol.max),
                     ""};
      }
      values.push_back(found->second);
    }
    if (values != symbolValues) {
      programs.clear();
      symbolValues = std::move(values);
    }
    return success();
  }

  std::vector<int64_t> extents(const TensorType& type) const {
    std::vector<int64_t> dims;
    for (const Dim& dim : type.dims) {
      dims.push_back(dim.evaluate(symbolValues));
    }
    return dims;
  }

  Status execute(const std::vector<const Op*>& needed) {
    for (const Op* op : needed) {
      Status status = executeOp(*op);
      if (!status) {
        return status;
      }
    }
    return success();
  }

  Status executeOp(const Op& op) {
    switch (op.kind) {
    case OpKind::Input: {
      const Tensor* given = nullptr;
      if (arguments != nullptr) {
        auto found = arguments->find(op.symbol);
        given = found == arguments->end() ? nullptr : found->second;
      } else if (auto found = environment->inputs.find(op.symbol); found != environment->inputs.end()) {
        given = &found->second;
      }
      return borrow(op, given);
    }
    case OpKind::Param:
    case OpKind::State: {
      auto found = environment->persistents.find(op.symbol);
      return borrow(op, found == environment->persistents.end() ? nullptr : &found->second);
    }
    case OpKind::Env: {
      uint32_t number = op.symbol == "step" ? environment->step : environment->epoch;
      Tensor value = Tensor::zeros(DType::I32, {});
      value.ints[0] = wrapTo(DType::I32, number);
      own(op, 0, std::move(value));
      return success();
    }
    case OpKind::Comp:
    case OpKind::Scatter: return executeBody(op);
    case OpKind::Reshape: {
      Tensor value = *slots.at(op.operands[0]).tensor;
      value.dims = extents(op.results[0]->type);
      own(op, 0, std::move(value));
      return success();
    }
    case OpKind::Concat: executeConcat(op); return success();
    case OpKind::Distinct: executeDistinct(op); return success();
    case OpKind::CallVjp: return executeCall(op);
    case OpKind::Grad: return errorAt(function, op, "gradients are not interpreted; run differentiate first");
    case OpKind::Scan: return executeScan(op);
    case OpKind::Counter:
    case OpKind::Carry:
    case OpKind::Slice: // set by the scan
    case OpKind::Next:
    case OpKind::Emit: // read by it
    case OpKind::Update:
    case OpKind::Output: return success(); // the caller collects them
    case OpKind::Group: break;
    }
    DNN_UNREACHABLE("groups are opened");
  }

  void own(const Op& op, size_t result, Tensor tensor) { put(op.results[result], std::move(tensor)); }

  void put(const Value* v, Tensor tensor) {
    Slot& slot = slots[v];
    slot.owned = std::make_unique<Tensor>(std::move(tensor));
    slot.tensor = slot.owned.get();
  }

  /// A tensor from outside: checked, since bodies rely on extents and bounds.
  Status borrow(const Op& op, const Tensor* tensor) {
    if (tensor == nullptr) {
      return errorAt(function, op, "the environment has no tensor of this name");
    }
    const TensorType& type = op.results[0]->type;
    std::vector<int64_t> dims = extents(type);
    if (tensor->dtype != type.dtype || tensor->dims != dims) {
      return errorAt(function, op,
                     "wanted " + std::string(nameOf(type.dtype)) + dimsText(dims) + ", got " +
                         std::string(nameOf(tensor->dtype)) + dimsText(tensor->dims));
    }
    int64_t size = 1;
    for (int64_t extent : dims) {
      size *= extent;
    }
    if (tensor->size() != size) {
      return errorAt(function, op,
                     "the tensor has " + std::to_string(tensor->size()) + " elements instead of " +
                         std::to_string(size));
    }
    if (type.bound) {
      int64_t bound = type.bound->evaluate(symbolValues);
      for (int64_t value : tensor->ints) {
        if (value < 0 || value >= bound) {
          return errorAt(function, op,
                         "the value " + std::to_string(value) + " is not below the bound " + std::to_string(bound));
        }
      }
    }
    slots[op.results[0]].tensor = tensor;
    return success();
  }

  Status executeBody(const Op& op) {
    auto found = programs.find(&op);
    if (found == programs.end()) {
      found = programs.emplace(&op, BodyProgram(op, symbolValues)).first;
    }
    std::vector<const Tensor*> operands;
    for (const Value* v : op.operands) {
      operands.push_back(slots.at(v).tensor);
    }
    Tensor result = Tensor::zeros(op.results[0]->type.dtype, extents(op.results[0]->type));
    if (!found->second.run(operands, {environment->seed, environment->step}, result)) {
      return errorAt(function, op, "a subscript left its tensor");
    }
    if (options.roundToF32 && result.dtype == DType::F32) {
      for (double& value : result.floats) {
        value = static_cast<double>(static_cast<float>(value));
      }
    }
    own(op, 0, std::move(result));
    return success();
  }

  /// Rows of all parts in turn; a row is what lies behind one point of the dimensions before the axis.
  void executeConcat(const Op& op) {
    Tensor result = Tensor::zeros(op.results[0]->type.dtype, extents(op.results[0]->type));
    int64_t rows = 1;
    for (size_t d = 0; d < op.axis; ++d) {
      rows *= result.dims[d];
    }
    auto join = [&](auto& to, auto member) {
      auto out = to.begin();
      for (int64_t row = 0; row < rows; ++row) {
        for (const Value* v : op.operands) {
          const auto& from = slots.at(v).tensor->*member;
          auto length = static_cast<int64_t>(from.size()) / rows;
          out = std::copy_n(from.begin() + row * length, length, out);
        }
      }
    };
    isFloat(result.dtype) ? join(result.floats, &Tensor::floats) : join(result.ints, &Tensor::ints);
    own(op, 0, std::move(result));
  }

  /// Part number `step` of the tensor along its first dimension.
  static Tensor part(const Tensor& stacked, int64_t step) {
    Tensor result = Tensor::zeros(stacked.dtype, {stacked.dims.begin() + 1, stacked.dims.end()});
    auto take = [&](const auto& from, auto& to) {
      std::copy_n(from.begin() + step * static_cast<int64_t>(to.size()), to.size(), to.begin());
    };
    isFloat(stacked.dtype) ? take(stacked.floats, result.floats) : take(stacked.ints, result.ints);
    return result;
  }

  static void setPart(Tensor& stacked, int64_t step, const Tensor& from) {
    auto give = [&](const auto& source, auto& to) {
      std::copy(source.begin(), source.end(), to.begin() + step * static_cast<int64_t>(source.size()));
    };
    isFloat(stacked.dtype) ? give(from.floats, stacked.floats) : give(from.ints, stacked.ints);
  }

  Status executeScan(const Op& op) {
    const std::vector<const Op*>& body = scanBodies.at(&op);
    int64_t steps = op.dims[0].extent.evaluate(symbolValues);
    std::vector<Tensor> carries;
    for (size_t i = 0; i < op.carryCount; ++i) {
      carries.push_back(*slots.at(op.operands[i]).tensor);
    }
    std::vector<Tensor> stacks;
    for (size_t i = 0; i < emitsOf(op).size(); ++i) {
      stacks.push_back(Tensor::zeros(op.results[i]->type.dtype, extents(op.results[i]->type)));
    }
    for (int64_t n = 0; n < steps; ++n) {
      if (op.ends && carries[0].ints[0] != 0) {
        break;
      }
      int64_t step = op.reversed ? steps - 1 - n : n;
      if (const Value* counter = counterOf(op)) {
        put(counter, Tensor::scalar(static_cast<double>(step), DType::I32));
      }
      for (size_t i = 0; i < op.carryCount; ++i) {
        put(carryOf(op, i), std::move(carries[i]));
      }
      for (size_t i = 0; i < op.sliceCount; ++i) {
        put(sliceOf(op, i), part(*slots.at(op.operands[op.carryCount + i]).tensor, step));
      }
      if (Status status = execute(body); !status) {
        return status;
      }
      for (size_t i = 0; i < stacks.size(); ++i) {
        setPart(stacks[i], step, *slots.at(emitsOf(op)[i]).tensor);
      }
      for (size_t i = 0; i < op.carryCount; ++i) { // all of them before one is put: they may change places
        carries[i] = *slots.at(nextsOf(op)[i]).tensor;
      }
    }
    for (size_t i = 0; i < stacks.size(); ++i) {
      own(op, i, std::move(stacks[i]));
    }
    for (size_t i = 0; i < op.carryCount; ++i) {
      own(op, stacks.size() + i, std::move(carries[i]));
    }
    return success();
  }

  void executeDistinct(const Op& op) {
    const Tensor& keys = *slots.at(op.operands[0]).tensor;
    Tensor places = Tensor::zeros(DType::I32, keys.dims);
    Tensor rows = Tensor::zeros(DType::I32, extents(op.results[1]->type));
    std::unordered_map<int64_t, int64_t> known;
    for (size_t i = 0; i < keys.ints.size(); ++i) {
      auto [place, isNew] = known.try_emplace(keys.ints[i], static_cast<int64_t>(known.size()));
      places.ints[i] = place->second;
      if (isNew) {
        rows.ints[static_cast<size_t>(place->second)] = keys.ints[i];
      }
    }
    own(op, 0, std::move(places));
    own(op, 1, std::move(rows));
    own(op, 2, Tensor::scalar(static_cast<double>(known.size()), DType::I32));
  }

  /// The persistent tensor after an update of some rows.
  Tensor withRows(const Op& update, const std::map<std::string, Tensor>& persistents) const {
    auto before = persistents.find(update.symbol);
    const TensorType& type = function.module.findPersistent(update.symbol)->type;
    Tensor after = before != persistents.end() ? before->second : Tensor::zeros(type.dtype, extents(type));
    const Tensor& values = *slots.at(update.operands[0]).tensor;
    const Tensor& rows = *slots.at(update.operands[1]).tensor;
    int64_t count = slots.at(update.operands[2]).tensor->ints[0];
    for (int64_t i = 0; i < count; ++i) {
      setPart(after, rows.ints[static_cast<size_t>(i)], part(values, i));
    }
    return after;
  }

  Status executeCall(const Op& op) {
    const Function* callee = function.module.findFunction(op.symbol);
    DNN_ASSERT(callee != nullptr, "the verifier finds the helper of a call");
    auto& interpreter = callees[&op];
    if (!interpreter) {
      interpreter = std::make_unique<Interpreter>(*callee, options);
    }
    std::map<std::string, const Tensor*> given;
    size_t position = 0;
    for (const Op* inner : interpreter->impl_->ops) {
      if (inner->kind == OpKind::Input) {
        given[inner->symbol] = slots.at(op.operands.at(position++)).tensor;
      }
    }
    std::map<std::string, int64_t> symbols;
    for (size_t i = 0; i < function.symbols.size(); ++i) {
      symbols[function.symbols[i].name] = symbolValues[i];
    }
    Impl& inner = *interpreter->impl_;
    Status status = inner.begin(*environment, symbols, &given);
    if (status) {
      status = inner.execute(inner.ops);
    }
    if (!status) {
      return status;
    }
    for (size_t i = 0; i < op.results.size(); ++i) {
      own(op, i, *inner.slots.at(callee->returns[i]).tensor);
    }
    inner.slots.clear();
    return success();
  }

  Status begin(const Environment& from, const std::map<std::string, int64_t>& symbols,
               const std::map<std::string, const Tensor*>* given) {
    environment = &from;
    arguments = given;
    slots.clear();
    return bindSymbols(symbols);
  }

  /// The ops that define the wanted values, directly and indirectly, in order; nothing behind a given value.
  std::vector<const Op*> opsFor(std::span<const Value* const> wanted, const Given& given) const {
    std::unordered_set<const Value*> live;
    auto want = [&](const Value* v) {
      if (!given.contains(v)) {
        live.insert(v);
      }
    };
    std::ranges::for_each(wanted, want);
    std::vector<const Op*> needed;
    for (auto it = ops.rbegin(); it != ops.rend(); ++it) {
      const Op* op = *it;
      if (std::ranges::any_of(op->results, [&](const Value* v) { return live.contains(v); })) {
        needed.push_back(op);
        std::ranges::for_each(op->operands, want);
      }
    }
    std::ranges::reverse(needed);
    return needed;
  }
};

Interpreter::Interpreter(const Function& function, InterpreterOptions options)
    : impl_(std::make_unique<Impl>(function, options)) {}
Interpreter::~Interpreter() = default;
Interpreter::Interpreter(Interpreter&&) noexcept = default;

Result<Outputs> Interpreter::run(Environment& environment) {
  Status status = impl_->begin(environment, environment.symbols, nullptr);
  if (status) {
    status = impl_->execute(impl_->ops);
  }
  if (!status) {
    return status.error();
  }
  Outputs outputs;
  std::map<std::string, Tensor> updates; // applied when all is read: a slot may borrow a persistent tensor
  for (const Op* op : impl_->ops) {
    if (op->kind == OpKind::Output) {
      outputs.outputs[op->symbol] = *impl_->slots.at(op->operands[0]).tensor;
    } else if (op->kind == OpKind::Update) {
      bool whole = op->operands.size() == 1;
      updates[op->symbol] =
          whole ? *impl_->slots.at(op->operands[0]).tensor : impl_->withRows(*op, environment.persistents);
    }
  }
  for (const Value* v : impl_->function.returns) {
    outputs.returns.push_back(*impl_->slots.at(v).tensor);
  }
  for (auto& [path, value] : updates) {
    environment.persistents[path] = std::move(value);
  }
  impl_->slots.clear();
  return outputs;
}

Result<std::vector<Tensor>> Interpreter::evaluate(const Environment& environment, std::span<const Value* const> wanted,
                                                  const Given& given) {
  Status status = impl_->begin(environment, environment.symbols, nullptr);
  if (status) {
    for (const auto& [value, tensor] : given) {
      impl_->slots[value].tensor = &tensor;
    }
    // An op with several results may be needed for one of them while another is given: the given one is set again
    // after.
    for (const Op* op : impl_->opsFor(wanted, given)) {
      status = impl_->executeOp(*op);
      if (!status) {
        break;
      }
      for (const Value* v : op->results) {
        if (auto found = given.find(v); found != given.end()) {
          impl_->slots[v].tensor = &found->second;
        }
      }
    }
  }
  if (!status) {
    return status.error();
  }
  std::vector<Tensor> values;
  for (const Value* v : wanted) {
    values.push_back(*impl_->slots.at(v).tensor);
  }
  impl_->slots.clear();
  return values;
}

Result<Outputs> run(const Function& function, Environment& environment, InterpreterOptions options) {
  return Interpreter(function, options).run(environment);
}

} // namespace dnn::graph
