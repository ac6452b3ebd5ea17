#include "compiler/codegen/lower_program.h"

#include "compiler/codegen/lower_step.h"
#include "compiler/support/assert.h"
#include "compiler/support/hash.h"
#include "compiler/transform/share_generated.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>

namespace dnn::codegen {

namespace {

using graph::Op;
using graph::OpKind;

bool fits(plan::Entry::Kind entry, graph::FunctionKind function) {
  switch (function) {
  case graph::FunctionKind::Init: return entry == plan::Entry::Kind::Init;
  case graph::FunctionKind::Step: return entry == plan::Entry::Kind::Step;
  case graph::FunctionKind::Eval: return entry == plan::Entry::Kind::Eval || entry == plan::Entry::Kind::Whole;
  case graph::FunctionKind::Predict: return entry == plan::Entry::Kind::Predict;
  case graph::FunctionKind::Generate: return entry == plan::Entry::Kind::Generate;
  case graph::FunctionKind::Helper: return false;
  }
  DNN_UNREACHABLE("every kind of function fits a kind of entry or none");
}

/// The runtime writes every port, used or not, so the function must have its memory.
void addUnusedInputs(graph::Function& function, const plan::Entry& entry) {
  std::vector<Op*> added;
  for (const plan::Port& port : entry.inputs) {
    bool present = std::ranges::any_of(
        function.body.ops, [&](const Op* op) { return op->kind == OpKind::Input && op->symbol == port.name; });
    if (present) {
      continue;
    }
    TensorType type;
    type.dtype = port.dtype;
    if (port.batched) {
      DNN_ASSERT(!function.symbols.empty(), "an entry with batched inputs has a batch");
      type.dims.push_back(Dim::symbol(0));
    }
    size_t row = type.dims.size();
    type.dims.insert(type.dims.end(), port.dims.begin(), port.dims.end());
    for (const plan::VaryingExtent& extent : port.varying) {
      Dim& dim = type.dims[row + extent.dim];
      dim = extent.constant;
      for (const plan::VaryingExtent::Term& term : extent.terms) {
        dim = dim + Dim::symbol(term.symbol, term.factor);
      }
    }
    Op* input = function.createOp(OpKind::Input, {}, {type}, {});
    input->symbol = port.name;
    added.push_back(input);
  }
  function.body.ops.insert(function.body.ops.begin(), added.begin(), added.end());
}

void fillPorts(const graph::Function& function, const transform::FunctionMemory& memory, plan::Entry& entry) {
  for (plan::Port& port : entry.inputs) {
    auto input = std::ranges::find_if(
        function.body.ops, [&](const Op* op) { return op->kind == OpKind::Input && op->symbol == port.name; });
    port.offset = memory.slots.at((*input)->results[0]).offset;
  }
  for (std::vector<plan::Port>* ports : {&entry.outputs, &entry.collected}) {
    for (plan::Port& port : *ports) {
      auto slot = memory.outputs.find(port.name);
      DNN_ASSERT(slot != memory.outputs.end(), "every output of the plan is an output of the graph");
      port.offset = slot->second.offset;
    }
  }
}

/// Looking at a whole table in each step would cost more than updating its rows.
void watchTables(const graph::Function& function, const plan::Plan& plan, plan::Entry& entry) {
  std::unordered_set<std::string_view> tables;
  for (const Op* op : function.body.ops) {
    if (op->kind == OpKind::Update && op->operands.size() > 1) {
      tables.insert(op->symbol);
    }
  }
  std::erase_if(entry.watchedPersistents, [&](uint32_t index) {
    bool byRows = tables.contains(plan.persistents[index].path);
    if (byRows) {
      entry.watchedTables.push_back(index);
    }
    return byRows;
  });
}

} // namespace

std::string fingerprintOf(const plan::Plan& plan) {
  std::string text;
  for (const plan::Persistent& p : plan.persistents) {
    text += p.path + ":" + std::to_string(static_cast<int>(p.kind)) + ":" + std::to_string(static_cast<int>(p.dtype));
    for (int64_t dim : p.dims) {
      text += "," + std::to_string(dim);
    }
    text += "\n";
  }
  for (const plan::Source& source : plan.sources) {
    for (const std::string& token : source.vocabulary) {
      text += std::to_string(token.size()) + ":" + token;
    }
  }
  return hex16(hash64(text));
}

LoweredProgram lowerProgram(graph::Module& module, plan::Plan plan) {
  std::vector<graph::Function*> entries = entriesOf(module);
  DNN_ASSERT(entries.size() == plan.entries.size(), "graph and plan have the same entries");
  for (size_t i = 0; i < entries.size(); ++i) {
    DNN_ASSERT(fits(plan.entries[i].kind, entries[i]->kind), "graph and plan have their entries in the same order");
    addUnusedInputs(*entries[i], plan.entries[i]);
  }
  transform::separateNumbers(module);
  LoweredProgram lowered;
  transform::UpdatePlacements placements = transform::placeUpdates(module);
  lowered.kernels = transform::outlineKernels(module, placements);
  lowered.memory = transform::planMemory(module, placements);

  for (plan::Persistent& p : plan.persistents) {
    p.offset = lowered.memory.persistentOffset.at(p.path);
  }
  plan.persistentBytes = lowered.memory.persistentBytes;
  plan.arenaBytes = lowered.memory.arenaBytes;
  for (size_t i = 0; i < entries.size(); ++i) {
    fillPorts(*entries[i], lowered.memory.functions.at(entries[i]), plan.entries[i]);
    watchTables(*entries[i], plan, plan.entries[i]);
  }
  plan.fingerprint = fingerprintOf(plan);
  lowered.plan = std::move(plan);
  return lowered;
}

} // namespace dnn::codegen
