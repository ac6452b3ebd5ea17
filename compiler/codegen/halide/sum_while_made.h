// Reductions of what has just been computed.
#pragma once

#include "Halide.h"

#include <map>
#include <string>
#include <vector>

namespace dnn::codegen {

/// A pass over lowered loops. A Func of values is stored in blocks of `width` elements, and a Func of so many partial
/// results (lanes) then reads them block by block. One loop does both:
///
///   for b { e[b·width …] = exp(…) }             lanes = 0
///   lanes = 0                             →     for b { e[b·width …] = exp(…)
///   for b { lanes += e[b·width …] }                     lanes += e[b·width …] }
///
/// Each lane takes its terms in the same order, from registers instead of memory. Where the loops do not have this
/// form they stay as they are.
class SumWhileMade : public Halide::Internal::IRMutator {
public:
  struct Sum {
    std::string lanes; ///< name of the Func
    int32_t width = 0;
  };
  /// For a Func of values the reductions that may join its loop.
  using Sums = std::map<std::string, std::vector<Sum>>;
  explicit SumWhileMade(Sums sums) : sums_(std::move(sums)) {}

private:
  using IRMutator::visit;
  Halide::Internal::Stmt visit(const Halide::Internal::Block* op) override;

  Sums sums_;
};

} // namespace dnn::codegen
