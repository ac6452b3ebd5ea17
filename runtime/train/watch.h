// NaN and infinity stop a run. A loss does so in its own step. Of the parameters each step looks at a share, so that
// the watch costs less than a hundredth of a step that reads them all: a value that is not finite stays so, is found
// within `watchSteps` steps, and always before anything is saved, evaluated or reported as the result.
#pragma once

#include "runtime/machine/machine.h"

namespace dnn::runtime {

/// Each value is looked at once in this many steps.
inline constexpr uint64_t watchSteps = 64;

/// After a call of `entry`: ExitCode::Diverged with the step and the loss or the parameter's path if a watched one is
/// not finite. `step` counts from 1.
Status checkFinite(Machine& machine, const plan::Entry& entry, uint64_t step, uint64_t epoch);

/// The same of the losses and of the share of the parameters whose turn it is; of all if they are few. Which share
/// depends on `step` alone.
Status checkFiniteShare(Machine& machine, const plan::Entry& entry, uint64_t step, uint64_t epoch);

} // namespace dnn::runtime
