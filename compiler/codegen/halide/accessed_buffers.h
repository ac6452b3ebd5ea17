// Which buffers a part of lowered loops reads and writes.
#pragma once

#include "Halide.h"

#include <set>
#include <string>

namespace dnn::codegen {

/// Visits statements and expressions, and keeps the names of the buffers that they load from and store to.
class AccessedBuffers : public Halide::Internal::IRVisitor {
public:
  std::set<std::string> loaded, stored;

private:
  using IRVisitor::visit;
  void visit(const Halide::Internal::Load* op) override {
    loaded.insert(op->name);
    IRVisitor::visit(op);
  }
  void visit(const Halide::Internal::Store* op) override {
    stored.insert(op->name);
    IRVisitor::visit(op);
  }
};

} // namespace dnn::codegen
