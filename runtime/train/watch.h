// NaN and infinity stop a run in the step in which they appear.
#pragma once

#include "runtime/machine/machine.h"

namespace dnn::runtime {

/// After a call of `entry`: ExitCode::Diverged with the step and the loss or the parameter's path if a watched one is
/// not finite. `step` counts from 1.
Status checkFinite(Machine& machine, const plan::Entry& entry, uint64_t step, uint64_t epoch);

} // namespace dnn::runtime
