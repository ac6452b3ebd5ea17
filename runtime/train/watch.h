// NaN and infinity stop a run in the step in which they appear. Looking at all parameters takes as long as half of a
// step of a dense network with one example, 4% of one with 64, 1% of one with 256. So steps with fewer examples look at
// the losses and at a share of the parameters: a value that is not finite stays so, is found within `watchSteps` steps,
// and always before anything is saved, evaluated or reported as the result. That is also when large tables are looked
// at of which a step changes few rows.
#pragma once

#include "runtime/machine/machine.h"

namespace dnn::runtime {

/// Steps with at least so many examples look at every parameter.
inline constexpr uint64_t watchRows = 256;
/// In the others each value is looked at once in so many steps.
inline constexpr uint64_t watchSteps = 16;

/// After a call of `entry`: ExitCode::Diverged with the step and the loss or the parameter's path if a watched one is
/// not finite. `step` counts from 1.
Status checkFinite(Machine& machine, const plan::Entry& entry, uint64_t step, uint64_t epoch);
/// Of these tensors, by their number in the plan.
Status checkTensors(Machine& machine, const std::vector<uint32_t>& indices, uint64_t step, uint64_t epoch);

/// The same of the losses and of the share of the parameters whose turn it is; of all if they are few. Which share
/// depends on `step` alone.
Status checkFiniteShare(Machine& machine, const plan::Entry& entry, uint64_t step, uint64_t epoch);

} // namespace dnn::runtime
