#include "compiler/build/function_builder.h"

#include "compiler/build/block_builder.h"
#include "compiler/build/scalar_builder.h"
#include "compiler/graph/scan.h"
#include "compiler/support/assert.h"

namespace dnn::build {

graph::Loc Locations::of(diag::SourceRange range) {
  if (!range.valid()) {
    return {};
  }
  auto [entry, isNew] = files_.try_emplace(range.file.index, static_cast<uint32_t>(module_.files.size()));
  if (isNew) {
    module_.files.push_back(sources_.name(range.file));
  }
  diag::LineColumn place = sources_.lineColumn(range.file, range.begin);
  return {entry->second, place.line, place.column};
}

namespace {

class FunctionBuilder {
public:
  FunctionBuilder(Context& context, const sema::Function& from, graph::Function& to)
      : context_(context), from_(from), to_(to), blocks_(to), values_(from.vars.size(), nullptr) {}

  void run() {
    to_.symbols = from_.symbols;
    for (const sema::Input& input : from_.inputs) {
      graph::Op* op = blocks_.append(graph::OpKind::Input, {}, {from_.vars[input.var].type}, {});
      op->symbol = input.name;
      define(input.var, op->results[0]);
    }
    lowerAll(from_.body);
    for (sema::VarId var : from_.returns) {
      to_.returns.push_back(valueOf(var));
    }
  }

private:
  void lowerAll(const std::vector<sema::Statement>& body) {
    for (const sema::Statement& statement : body) {
      loc_ = context_.locations.of(statement.range);
      std::visit([this](const auto& node) { lower(node); }, statement.node);
    }
  }

  void lower(const sema::Let& let) {
    define(let.var, buildLet({from_, to_, blocks_, values_, context_.locations, reductions_}, let, loc_));
  }

  void lower(const sema::Scan& scan) {
    std::vector<graph::Value*> initial;
    size_t flags = scan.until ? 1 : 0; // the carry that ends the scan is the first
    if (scan.until) {
      graph::Op* running = blocks_.append(graph::OpKind::Comp, {}, {{DType::Bool, {}, std::nullopt}}, loc_);
      running->body = to_.module.exprs.boolean(false);
      initial.push_back(running->results[0]);
    }
    for (const sema::Scan::Carry& carry : scan.carries) {
      initial.push_back(valueOf(carry.initial));
    }
    graph::Loc loc = loc_;
    graph::Op* op =
        blocks_.beginScan({from_.vars[scan.step].name, scan.extent}, scan.reverse, scan.step, std::move(initial), loc);
    op->saveEvery = scan.saveEvery;
    op->ends = scan.until.has_value();
    for (size_t i = 0; i < scan.carries.size(); ++i) {
      define(scan.carries[i].value, graph::carryOf(*op, flags + i));
    }
    // What the body computes cannot be used behind it.
    ReductionMemo outside = reductions_;
    lowerAll(scan.body);
    reductions_ = std::move(outside);
    std::vector<graph::Value*> nexts;
    if (scan.until) {
      nexts.push_back(valueOf(*scan.until));
      graph::carryOf(*op, 0)->name = "stopped";
    }
    for (const sema::Scan::Carry& carry : scan.carries) {
      nexts.push_back(valueOf(carry.next));
    }
    std::vector<graph::Value*> emits;
    for (const sema::Scan::Emit& emit : scan.emits) {
      emits.push_back(valueOf(emit.value));
    }
    blocks_.endScan(std::move(nexts), std::move(emits));
    for (size_t i = 0; i < scan.emits.size(); ++i) {
      define(scan.emits[i].stacked, op->results[i]);
    }
    for (size_t i = 0; i < scan.carries.size(); ++i) {
      define(scan.carries[i].last, graph::finalOf(*op, flags + i));
    }
  }

  void lower(const sema::ReadPersistent& read) {
    const sema::Persistent& persistent = context_.program.persistents[read.persistent];
    bool isParameter = persistent.kind == plan::Persistent::Kind::Parameter;
    graph::Op* op =
        blocks_.append(isParameter ? graph::OpKind::Param : graph::OpKind::State, {}, {persistent.type}, loc_);
    op->symbol = persistent.path;
    define(read.var, op->results[0]);
  }

  void lower(const sema::ReadEnv& read) {
    graph::Op* op = blocks_.append(graph::OpKind::Env, {}, {from_.vars[read.var].type}, loc_);
    op->symbol = read.what == sema::ReadEnv::What::Step ? "step" : "epoch";
    define(read.var, op->results[0]);
  }

  void lower(const sema::Reshape& reshape) {
    graph::Op* op =
        blocks_.append(graph::OpKind::Reshape, {valueOf(reshape.from)}, {from_.vars[reshape.var].type}, loc_);
    define(reshape.var, op->results[0]);
  }

  void lower(const sema::Concat& concat) {
    graph::Op* op = blocks_.append(graph::OpKind::Concat, valuesOf(concat.parts), {from_.vars[concat.var].type}, loc_);
    op->axis = concat.axis;
    define(concat.var, op->results[0]);
  }

  void lower(const sema::Grad& grad) {
    std::vector<graph::Value*> operands = valuesOf(grad.wrt);
    operands.insert(operands.begin(), valueOf(grad.loss));
    graph::Op* op = blocks_.append(graph::OpKind::Grad, std::move(operands), typesOf(grad.results), loc_);
    defineAll(grad.results, op->results);
  }

  void lower(const sema::CallVjp& call) {
    graph::Op* op = blocks_.append(graph::OpKind::CallVjp, valuesOf(call.args), typesOf(call.results), loc_);
    op->symbol = context_.helperNames[call.primal];
    defineAll(call.results, op->results);
  }

  void lower(const sema::Update& update) {
    graph::Op* op = blocks_.append(graph::OpKind::Update, {valueOf(update.value)}, {}, loc_);
    op->symbol = context_.program.persistents[update.persistent].path;
  }

  void lower(const sema::Output& output) {
    graph::Op* op = blocks_.append(graph::OpKind::Output, {valueOf(output.value)}, {}, loc_);
    op->symbol = output.name;
  }

  void define(sema::VarId var, graph::Value* value) {
    DNN_ASSERT(values_[var] == nullptr, "every var of the program is defined once");
    values_[var] = value;
    value->name = from_.vars[var].name;
  }

  void defineAll(const std::vector<sema::VarId>& vars, const std::vector<graph::Value*>& values) {
    for (size_t i = 0; i < vars.size(); ++i) {
      define(vars[i], values[i]);
    }
  }

  graph::Value* valueOf(sema::VarId var) {
    if (blocks_.isStep(var)) {
      return blocks_.counter(var);
    }
    DNN_ASSERT(values_[var] != nullptr, "a var of the program is defined before it is used");
    return values_[var];
  }

  std::vector<graph::Value*> valuesOf(const std::vector<sema::VarId>& vars) {
    std::vector<graph::Value*> values;
    for (sema::VarId var : vars) {
      values.push_back(valueOf(var));
    }
    return values;
  }

  std::vector<TensorType> typesOf(const std::vector<sema::VarId>& vars) const {
    std::vector<TensorType> types;
    for (sema::VarId var : vars) {
      types.push_back(from_.vars[var].type);
    }
    return types;
  }

  Context& context_;
  const sema::Function& from_;
  graph::Function& to_;
  BlockBuilder blocks_;
  std::vector<graph::Value*> values_; // by VarId; null = not defined yet
  ReductionMemo reductions_;
  graph::Loc loc_;
};

} // namespace

void buildFunction(Context& context, const sema::Function& from, graph::Function& to) {
  FunctionBuilder(context, from, to).run();
}

} // namespace dnn::build
