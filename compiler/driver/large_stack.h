// Compilers recurse over what users nest, and users' programs (or programs that write programs) nest deeply.
#pragma once

#include <functional>

namespace dnn::driver {

/// Calls `work` on a thread with a stack of 1 GiB, of which only what is touched costs memory, and waits for it. Where
/// such a thread cannot be had, calls it on this one. An exception that leaves `work` leaves this function.
void runOnLargeStack(const std::function<void()>& work);

} // namespace dnn::driver
