// Copies that are made while what they are for is computed.
#pragma once

#include "Halide.h"

#include <map>
#include <string>

namespace dnn::codegen {

/// A pass over lowered loops. A Func in `ahead` is made by one loop over an index, and read in loops over the same
/// index, only at the point where those are. The first of these loops to run then does what the loop of the Func did:
///
///   for k { copy[k] = source[k] }                for row {
///   for row {                              →       for k { if row = 0 { copy[k] = source[k] }
///     for k { … copy[k] … } }                              … copy[k] … } }
///
/// So the multiply-adds of the first row hide the latency of the source's lines, which are fetched into the cache
/// `ahead` points before. Where the loops do not have this form they stay as they are.
class CopyWithUse : public Halide::Internal::IRMutator {
public:
  explicit CopyWithUse(std::map<std::string, int32_t> ahead) : ahead_(std::move(ahead)) {}

private:
  using IRMutator::visit;
  Halide::Internal::Stmt visit(const Halide::Internal::Block* op) override;

  std::map<std::string, int32_t> ahead_;
};

} // namespace dnn::codegen
