// A sweep: one program for each combination of values, trained one after the other.
#pragma once

#include "runtime/cli/options.h"
#include "runtime/include/dnn/abi.h"

namespace dnn::runtime {

/// "lr = 0.01, seed = 2"; "" for a program without a sweep.
std::string variantText(const plan::Plan& plan);

/// Trains every combination and prints a table: a row for each combination of all names but `seed`, with the mean and
/// the standard deviation over the seeds of what was logged last. A combination that diverges is marked; if all do,
/// that is the result.
Status trainSweep(const DnnModule& first, const Options& options);

/// The variant that `--variant` names, which the other commands need.
Status chooseVariant(const DnnModule& first, const Options& options, const DnnModule*& chosen);

} // namespace dnn::runtime
