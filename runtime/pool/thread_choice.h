// Whether work that is done again and again, like a step, should use all threads of the pool or the calling one alone.
//
// Threads that divide a loop take lines of memory from each other: what one has written the other reads in the next
// loop. In a step of short kernels that can cost more than it gives, above all on cores that share no cache, or that
// are two hardware threads of one core, and which cores a virtual machine has changes within seconds. The loop that is
// divided does not show it, since those behind it pay. So every now and then a few calls in a row are done in the one
// way and a few in the other, three times in turns, and the better way is kept for much longer than that took.
#pragma once

#include <cstdint>
#include <vector>

namespace dnn::runtime {

class ThreadChoice {
public:
  /// How the next call is to be done.
  bool alone() const { return alone_; }
  /// The call took so long.
  void took(int64_t nanoseconds);

private:
  /// Calls in a row in one way: the first ones find memory as the other way left it, and do not count.
  struct Block {
    int calls = 0;
    int64_t time = 0;
    bool counts = false;
  };

  void begin();
  void endBlock();
  void keep(bool alone);

  bool alone_ = false;
  bool trying_ = false;
  int64_t left_ = firstWait; // until the next trial
  int64_t spent_ = 0;        // on this one
  Block block_;
  std::vector<double> together_, byOne_; // nanoseconds of a call, by block of the trial

  static constexpr int64_t firstWait = 20'000'000; // nanoseconds
};

} // namespace dnn::runtime
