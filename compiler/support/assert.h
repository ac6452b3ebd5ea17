// DNN_ASSERT: an invariant of the compiler that no user input can break. Active in every build type: a broken
// invariant ends the process with exit code 70 and a request for a bug report, never with a wrong answer.
#pragma once

namespace dnn {
[[noreturn]] void assertionFailed(const char* condition, const char* why, const char* file, int line);
}

#define DNN_ASSERT(condition, why)                                                                                     \
  ((condition) ? static_cast<void>(0) : ::dnn::assertionFailed(#condition, why, __FILE__, __LINE__))
#define DNN_UNREACHABLE(why) ::dnn::assertionFailed("unreachable", why, __FILE__, __LINE__)
