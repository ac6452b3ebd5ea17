// A program whose entries are run by the reference interpreter instead of compiled code, behind the same interface: the
// runtime cannot tell the difference. `dnnc run --interpret` shows what a program means, in f64, whatever code
// generation makes of it.
#pragma once

#include "compiler/graph/interpreter.h"
#include "compiler/support/result.h"
#include "runtime/include/dnn/abi.h"
#include "runtime/plan/plan.h"

#include <memory>
#include <vector>

namespace dnn::driver {

class InterpretedProgram {
public:
  /// The module's functions begin with the plan's entries, in the same order; entries with `grad` operations fail when
  /// they are called. Like compiled code, a process has one program at a time. An error: more entries than the
  /// interface has room for.
  static Result<std::unique_ptr<InterpretedProgram>> make(const graph::Module& module, plan::Plan plan);
  ~InterpretedProgram();

  const DnnModule& module() const { return abi_; }

  /// What lies in the program's memory, once it is bound: persistent tensors and the entry's inputs.
  graph::Environment environment(size_t entry, const DnnCall& call) const;

private:
  InterpretedProgram() = default;
  void place();
  int32_t call(size_t entry, const DnnCall& call);
  template <size_t I> static int32_t entryPoint(const DnnCall* call);
  template <size_t... I> static const DnnEntryFn* entryPoints(std::index_sequence<I...>);

  plan::Plan plan_;
  std::vector<uint8_t> encoded_;
  std::vector<graph::Interpreter> interpreters_; // by entry
  std::vector<const graph::Function*> functions_;
  uint8_t* persistent_ = nullptr;
  uint8_t* arena_ = nullptr;
  DnnModule abi_ = {};
};

} // namespace dnn::driver
