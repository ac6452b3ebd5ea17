// What `dnnc time` found out, and how it is shown.
#pragma once

#include "compiler/driver/machine_speed.h"
#include "compiler/driver/time_work.h"

#include <string>
#include <vector>

namespace dnn::driver {

/// Of one thing that happens in every step; seconds.
struct Duration {
  double shortest = 0;
  double median = 0;
};

/// One kernel with all of its calls in a step.
struct TimedKernel {
  KernelWork work;   ///< of one call
  int64_t calls = 0; ///< in a step
  Duration time;     ///< of one call: the mean of a step's calls
};

struct TimeReport {
  std::string file;
  std::string program;
  int64_t batch = 0; ///< examples in a step; 0 = the step reads no data
  int64_t steps = 0; ///< measured, as one call and kernel by kernel each
  MachineSpeed machine;
  std::vector<TimedKernel> kernels; ///< in the order of their first calls
  Duration copies;                  ///< updates that could not be written in place
  Duration step;                    ///< the native call as a whole, not measured inside
  // What the training loop adds to each step.
  Duration fetch; ///< the next batch goes into the step's inputs
  Duration watch; ///< the search for NaN and infinity

  double flops() const;       ///< of the step: of all calls
  double bytes() const;       ///< the same
  double kernelTime() const;  ///< all calls of the kernels, median seconds
  double betweenTime() const; ///< the rest of the step, at least 0
  /// The least seconds that a call of this work takes on the machine, whatever the code: arithmetic at its peak, or
  /// every byte once at the speed of the nearest cache that holds them.
  double bound(const KernelWork& work) const;
  double bound() const; ///< of the step: of all calls
};

std::string renderText(const TimeReport& report);
std::string renderJson(const TimeReport& report);

} // namespace dnn::driver
