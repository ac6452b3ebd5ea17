// What a kernel has written, read again by loops that share the outer loops of those that write it.
#pragma once

#include "Halide.h"

#include <map>
#include <string>

namespace dnn::codegen {

/// A pass over lowered loops. Halide orders a Func that reads another behind all of that, or computes the other anew
/// for it. So the reader has an input in its place, and here loads of that input become loads of the output's buffer.
/// They have the same shape, and the loops around both run the writer first.
///
/// An output that a later stage reads has a load of the output's name, which Halide takes for memory of its own,
/// aligned to whole vectors. Where the output may lie anywhere, that load becomes one of the buffer, too.
class ReadWritten : public Halide::Internal::IRMutator {
public:
  /// The output's buffer for each input, or output, of this name.
  explicit ReadWritten(std::map<std::string, Halide::Parameter> written) : written_(std::move(written)) {}

private:
  using IRMutator::visit;
  Halide::Expr visit(const Halide::Internal::Load* op) override;

  std::map<std::string, Halide::Parameter> written_;
};

} // namespace dnn::codegen
