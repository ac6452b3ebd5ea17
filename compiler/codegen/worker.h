// Work in a process of its own, whose memory and libraries are gone when it is done.
#pragma once

#include "compiler/support/result.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace dnn::codegen {

struct WorkerOptions {
  int threads = 1;
  std::function<Status()> prepare; ///< in the worker, before the first job
};

/// Runs job(0) … job(count - 1) in a forked process, on several threads, begun in this order, and returns their
/// results. The jobs see this process as it is now and change nothing in it. The first error of a job, or the death of
/// the worker, is the error of all. The worker ends when this process does. Where no process can be made the jobs run
/// here.
Result<std::vector<std::vector<uint8_t>>>
runInWorker(size_t count, const std::function<Result<std::vector<uint8_t>>(size_t)>& job, const WorkerOptions& options);

} // namespace dnn::codegen
