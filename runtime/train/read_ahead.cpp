#include "runtime/train/read_ahead.h"

namespace dnn::runtime {

ReadAhead::ReadAhead(Read read) : read_(std::move(read)), thread_([this] { run(); }) {}

ReadAhead::~ReadAhead() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ReadAhead::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stop_ || wanted_.has_value(); });
    if (stop_) {
      return;
    }
    BatchKey key = *wanted_;
    lock.unlock();
    Status status = read_(key, next_);
    lock.lock();
    status_ = std::move(status);
    ready_ = key;
    wanted_.reset();
    changed_.notify_all();
  }
}

void ReadAhead::ask(std::unique_lock<std::mutex>& lock, BatchKey key) {
  wanted_ = key;
  changed_.notify_all();
  changed_.wait(lock, [&] { return !wanted_.has_value(); });
}

Status ReadAhead::take(BatchKey key, BatchKey next, const uint8_t*& bytes) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !wanted_.has_value(); });
  if (ready_ != key) { // the first one, or the run went on elsewhere
    ask(lock, key);
  }
  if (!status_.ok()) {
    ready_.reset();
    return status_;
  }
  std::swap(next_, taken_);
  bytes = taken_.data();
  ready_.reset();
  wanted_ = next;
  changed_.notify_all();
  return success();
}

} // namespace dnn::runtime
