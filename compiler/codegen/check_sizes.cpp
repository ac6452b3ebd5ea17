#include "compiler/codegen/check_sizes.h"

#include "compiler/graph/element_count.h"

namespace dnn::codegen {

namespace {

constexpr int64_t maxElements = INT32_MAX;

Status check(const graph::Module& module, const TensorType& type, std::span<const Symbol> symbols, graph::Loc loc) {
  std::optional<int64_t> count = graph::maxElementCount(type.dims, symbols);
  if (count && *count <= maxElements) {
    return success();
  }
  std::string where;
  if (loc.line != 0 && loc.file < module.files.size()) {
    where = module.files[loc.file] + ":" + std::to_string(loc.line) + ":" + std::to_string(loc.column);
  }
  return Error{"a tensor of type " + type.str(symbols) + " has more than " + std::to_string(maxElements) +
                   " elements, the most that compiled code can index; make it smaller or cut it into parts",
               where};
}

} // namespace

Status checkSizes(const graph::Module& module) {
  for (const graph::Persistent& p : module.persistents) {
    if (Status status = check(module, p.type, {}, p.loc); !status) {
      return status;
    }
  }
  for (const auto& function : module.functions) {
    Status status = success();
    graph::forEachOp(function->body, [&](const graph::Op* op) {
      for (const graph::Value* v : op->results) {
        if (status) {
          status = check(module, v->type, function->symbols, op->loc);
        }
      }
    });
    if (!status) {
      return status;
    }
  }
  return success();
}

} // namespace dnn::codegen
