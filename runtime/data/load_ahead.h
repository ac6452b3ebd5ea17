// Reads the files of sources in a thread of its own while a program is made ready: `dnnc run` compiles kernels
// meanwhile.
#pragma once

#include "runtime/data/dataset.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace dnn::runtime {

class LoadAhead {
public:
  /// Begins with the first of `sources`, names in the plan. Passes over sources that are not read from files, and over
  /// images, which all threads decode. Values in memory: at most `memory` bytes, as in a DataStore.
  LoadAhead(plan::Plan plan, DataOverrides overrides, uint64_t memory, std::vector<std::string> sources);
  /// Waits for the source that is being read.
  ~LoadAhead();
  LoadAhead(const LoadAhead&) = delete;
  LoadAhead& operator=(const LoadAhead&) = delete;

  /// Waits for a source and gives its examples away, which must not outlive this. Null if it was not to be read, or
  /// could not be: who needs it reads it then, and says why not.
  std::unique_ptr<Dataset> take(const std::string& source);

private:
  void run();

  const plan::Plan plan_;
  const DataOverrides overrides_;
  uint64_t memory_;
  std::mutex mutex_; // for the two below
  std::condition_variable changed_;
  std::vector<std::string> waiting_;                         // sources, the next one first
  std::map<std::string, std::unique_ptr<Dataset>> examples_; // what has been read
  std::atomic<bool> stop_ = false;
  std::thread thread_; // last, as it uses what stands above
};

} // namespace dnn::runtime
