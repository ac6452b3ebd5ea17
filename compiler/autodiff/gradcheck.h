// Compares gradients with finite differences, in f64, through the reference interpreter.
//
// For each grad op of a function and each value that it is taken with respect to: some elements (all, if they are few)
// and one random direction are moved by ±h and ±h/2; the central differences are extrapolated (error O(h⁴)), and h
// shrinks until they agree. Where one-sided differences disagree with each other the loss is not smooth (a tie of max,
// a corner of relu): such points are counted as skipped, not as failures.
#pragma once

#include "compiler/graph/interpreter.h"

#include <functional>
#include <string>
#include <vector>

namespace dnn::autodiff {

struct GradcheckOptions {
  double tolerance = 1e-5; ///< relative
  int maxElements = 12;    ///< of each tensor
  uint64_t seed = 0;       ///< of the choice of elements and directions
  /// Runs on the module after differentiation, so that what simplification makes of it is checked too.
  std::function<Status(graph::Module&)> prepare;
};

struct GradcheckEntry {
  std::string name;       ///< the parameter's path, or the value's name
  int checked = 0;        ///< elements and directions compared
  int skipped = 0;        ///< of those, where the loss is not smooth
  double worst = 0;       ///< largest relative error
  std::string worstPlace; ///< "[2, 0]" or "a direction"
  double analytic = 0;    ///< there
  double numeric = 0;
  bool ok = true;
};

struct GradcheckReport {
  std::vector<GradcheckEntry> entries;
  bool ok() const;
};

/// `module` has not been differentiated; it is copied. Errors: no such function, no grad op in it, a path without a
/// derivative, an input that is missing from the environment.
Result<GradcheckReport> gradcheck(const graph::Module& module, const std::string& function,
                                  const graph::Environment& environment, const GradcheckOptions& options = {});

/// A table, one line an entry.
std::string print(const GradcheckReport& report);

} // namespace dnn::autodiff
