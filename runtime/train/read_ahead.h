// One thread beside the training that gets the batch of the next step ready while the present one is computed.
#pragma once

#include "runtime/support/status.h"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace dnn::runtime {

/// A position in the run: the epoch, from the start of training, and the step in it.
using BatchKey = std::pair<uint64_t, uint64_t>;

class ReadAhead {
public:
  using Bytes = std::vector<uint8_t>;
  /// Puts the examples of a step behind each other. Only ever called by the thread, one call at a time.
  using Read = std::function<Status(BatchKey, Bytes&)>;

  explicit ReadAhead(Read read);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  /// The bytes of this step, valid until the next call; meanwhile those of `next` are read. What is wrong with the next
  /// ones is said when they are taken.
  Status take(BatchKey key, BatchKey next, const uint8_t*& bytes);

private:
  void run();
  void ask(std::unique_lock<std::mutex>& lock, BatchKey key);

  Read read_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<BatchKey> wanted_; // what the thread is to read, or reads
  std::optional<BatchKey> ready_;  // what `next_` has
  bool stop_ = false;
  Status status_;
  Bytes next_;  // the thread's while something is wanted
  Bytes taken_; // the caller's
  std::thread thread_;
};

} // namespace dnn::runtime
