#include "compiler/codegen/halide/read_written.h"

namespace dnn::codegen {

Halide::Expr ReadWritten::visit(const Halide::Internal::Load* op) {
  auto found = written_.find(op->name);
  if (found == written_.end()) {
    return IRMutator::visit(op);
  }
  const Halide::Parameter& buffer = found->second;
  return Halide::Internal::Load::make(op->type, buffer.name(), mutate(op->index), Halide::Buffer<>(), buffer,
                                      mutate(op->predicate), op->alignment);
}

} // namespace dnn::codegen
