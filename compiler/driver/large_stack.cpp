#include "compiler/driver/large_stack.h"

#include <exception>
#include <pthread.h>

namespace dnn::driver {

namespace {

constexpr size_t kStackBytes = size_t{1} << 30;

struct Call {
  const std::function<void()>& work;
  std::exception_ptr thrown;

  void run() {
    try {
      work();
    } catch (...) {
      thrown = std::current_exception();
    }
  }
};

void* runCall(void* call) {
  static_cast<Call*>(call)->run();
  return nullptr;
}

} // namespace

void runOnLargeStack(const std::function<void()>& work) {
  Call call{work, nullptr};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_t thread;
  bool started = pthread_attr_setstacksize(&attributes, kStackBytes) == 0 &&
                 pthread_create(&thread, &attributes, runCall, &call) == 0;
  pthread_attr_destroy(&attributes);
  if (started) {
    pthread_join(thread, nullptr);
  } else {
    call.run();
  }
  if (call.thrown) {
    std::rethrow_exception(call.thrown);
  }
}

} // namespace dnn::driver
