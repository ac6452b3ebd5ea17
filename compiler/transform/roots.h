// Whose memory a value shows.
#pragma once

#include "compiler/graph/graph.h"

#include <unordered_map>

namespace dnn::transform {

/// A reshape outside of groups is another view of its operand's memory; the root is what has that memory.
class Roots {
public:
  explicit Roots(const graph::Function& function);
  const graph::Value* of(const graph::Value* v) const;

private:
  void collect(const graph::Block& block);

  std::unordered_map<const graph::Value*, const graph::Value*> roots_;
};

} // namespace dnn::transform
