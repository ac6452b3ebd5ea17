#include "runtime/pool/thread_choice.h"

#include <algorithm>

namespace dnn::runtime {

namespace {

constexpr int64_t longCall = 2'000'000; // nanoseconds; what takes longer is worth dividing, and a trial would cost much
constexpr int64_t leastHalf = 150'000;  // of either half of a block, and
constexpr int leastCalls = 2;           // so many calls
constexpr size_t blocksEach = 3;
constexpr double better = 0.98; // of the time of the other way, before the calling thread does without the others
/// Times as long as the trial took. When cores have come together again, going on alone costs more than what a wrong
/// choice of all threads does.
constexpr int64_t aloneFor = 20, togetherFor = 100;

double median(std::vector<double>& values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

} // namespace

void ThreadChoice::took(int64_t nanoseconds) {
  if (nanoseconds > longCall) {
    keep(false);
    return;
  }
  if (!trying_) {
    left_ -= nanoseconds;
    if (left_ <= 0) {
      begin();
    }
    return;
  }
  spent_ += nanoseconds;
  block_.time += nanoseconds;
  if (++block_.calls < leastCalls || block_.time < leastHalf) {
    return;
  }
  if (block_.counts) {
    endBlock();
  } else {
    block_ = {.counts = true};
  }
}

void ThreadChoice::begin() {
  trying_ = true;
  spent_ = 0;
  block_ = {};
  together_.clear();
  byOne_.clear();
}

void ThreadChoice::endBlock() {
  (alone_ ? byOne_ : together_).push_back(static_cast<double>(block_.time) / block_.calls);
  block_ = {};
  alone_ = !alone_;
  if (together_.size() == blocksEach && byOne_.size() == blocksEach) {
    keep(median(byOne_) < better * median(together_));
  }
}

void ThreadChoice::keep(bool alone) {
  alone_ = alone;
  trying_ = false;
  left_ = std::max(firstWait, (alone ? aloneFor : togetherFor) * spent_);
  spent_ = 0;
}

} // namespace dnn::runtime
