// Any bytes: the IR reader returns a module or an error; what verifies prints as text that reads back and prints the
// same, and small functions run in the interpreter.
#include "compiler/graph/graph.h"
#include "compiler/graph/interpreter.h"
#include "compiler/support/assert.h"

namespace {

using namespace dnn;

/// Runs the function with all symbols 1 on zeros, unless it has too many points to be worth the time.
void interpret(const graph::Function& function) {
  std::vector<int64_t> ones(function.symbols.size(), 1);
  graph::Environment environment;
  for (const Symbol& symbol : function.symbols) {
    environment.symbols[symbol.name] = 1;
  }
  double work = 0;
  double repetitions = 1; // of the body of the innermost scan, if all stand in each other
  graph::forEachOp(function.body, [&](graph::Op* op) {
    double points = 1;
    for (const auto* vars : {&op->dims, &op->reduced}) {
      for (const graph::IndexVar& var : *vars) {
        points *= static_cast<double>(var.extent.evaluate(ones));
      }
    }
    work += points;
    for (const graph::Value* v : op->results) {
      double elements = 1;
      for (const Dim& dim : v->type.dims) {
        elements *= static_cast<double>(dim.evaluate(ones));
      }
      work += elements;
    }
    work += op->kind == graph::OpKind::CallVjp ? 1e9 : 0; // a chain of calls can double the work at each link
    repetitions *= op->kind == graph::OpKind::Scan ? points + 1 : 1;
  });
  if (work * repetitions > 20000) {
    return;
  }
  auto zeros = [&](const TensorType& type) {
    std::vector<int64_t> dims;
    for (const Dim& dim : type.dims) {
      dims.push_back(dim.evaluate(ones));
    }
    return graph::Tensor::zeros(type.dtype, std::move(dims));
  };
  graph::forEachOp(function.body, [&](graph::Op* op) {
    if (op->kind == graph::OpKind::Input) {
      environment.inputs[op->symbol] = zeros(op->results[0]->type);
    } else if (op->kind == graph::OpKind::Param || op->kind == graph::OpKind::State) {
      environment.persistents[op->symbol] = zeros(op->results[0]->type);
    }
  });
  (void)graph::run(function, environment).ok();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto module = graph::parseModule({reinterpret_cast<const char*>(data), size}, "fuzz.dnir");
  if (!module) {
    return 0;
  }
  bool verifies = graph::verify(**module).ok();
  std::string text = graph::print(**module);
  if (!verifies) {
    return 0;
  }
  auto again = graph::parseModule(text, "printed.dnir");
  DNN_ASSERT(again.ok(), "what was printed can be read");
  DNN_ASSERT(graph::print(**again) == text, "what was read prints the same");
  for (const auto& function : (*module)->functions) {
    interpret(*function);
  }
  return 0;
}
