#include "compiler/driver/code.h"
#include "compiler/driver/commands.h"
#include "compiler/driver/exit_code.h"
#include "compiler/driver/memory_estimate.h"
#include "compiler/driver/pipeline.h"
#include "compiler/driver/work.h"
#include "compiler/transform/plan_memory.h"

#include <algorithm>
#include <cstdio>

namespace dnn::driver {

namespace {

/// 1234567 → "1,234,567".
std::string grouped(uint64_t number) {
  std::string digits = std::to_string(number);
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

uint64_t elementsOf(const TensorType& type) {
  uint64_t count = 1;
  for (const Dim& dim : type.dims) {
    count *= static_cast<uint64_t>(dim.constant());
  }
  return count;
}

/// Columns as wide as they must be; all but the first two are numbers, to the right.
void printTable(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows.front().size(), 0);
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      std::string padding(widths[i] - row[i].size(), ' ');
      line += (i == 0 ? "" : "  ") + (i < 2 ? row[i] + padding : padding + row[i]);
    }
    std::printf("%s\n", line.c_str());
  }
}

} // namespace

int summaryCommand(const Options& options) {
  Pipeline pipeline(options);
  if (int code = pipeline.runTo(Pipeline::Stage::Fuse); code != kSuccess) {
    return code;
  }
  graph::Module& module = pipeline.module();
  uint64_t count = 0;
  std::vector<std::vector<std::string>> rows = {{"parameter", "shape", "numbers", "bytes"}};
  for (const sema::Persistent& p : pipeline.program().persistents) {
    if (p.kind == plan::Persistent::Kind::Parameter) {
      uint64_t elements = elementsOf(p.type);
      count += elements;
      rows.push_back({p.path, p.type.str({}), grouped(elements),
                      grouped(elements * static_cast<uint64_t>(byteSize(p.type.dtype)))});
    }
  }
  printTable(rows);
  transform::MemoryPlan memory = transform::planMemory(module, transform::placeUpdates(module));
  std::printf("\n%s parameters; %s bytes of parameters and states, %s bytes for everything else\n",
              grouped(count).c_str(), grouped(memory.persistentBytes).c_str(), grouped(memory.arenaBytes).c_str());
  plan::Plan plan = pipeline.program().plan;
  plan.persistentBytes = memory.persistentBytes;
  plan.arenaBytes = memory.arenaBytes;
  std::string work;
  for (const auto& function : module.functions) {
    if (function->kind == graph::FunctionKind::Step || function->kind == graph::FunctionKind::Eval) {
      work += function->name + ": " + grouped(floatOperations(*function)) + " floating point operations a batch of " +
              grouped(function->symbols.empty() ? 1 : static_cast<uint64_t>(function->symbols[0].max)) + "\n";
    }
  }
  Result<uint64_t> scratch = codegen::scratchBytes(module, plan, compileOptions(options));
  if (!scratch) {
    return failToCompile(scratch.error());
  }
  MemoryEstimate estimate = estimateMemory(plan, module, *scratch);
  std::printf("an executable needs about %s bytes: with %s of code and runtime, %s for data, %s for checkpoints\n",
              grouped(estimate.total()).c_str(), grouped(estimate.program).c_str(), grouped(estimate.data).c_str(),
              grouped(estimate.checkpoint).c_str());
  std::printf("dnnc run needs about %s bytes, once its kernels are cached\n%s",
              grouped(estimate.totalOfRun()).c_str(), work.c_str());
  return kSuccess;
}

} // namespace dnn::driver
