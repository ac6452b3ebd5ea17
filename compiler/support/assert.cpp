#include "compiler/support/assert.h"

#include <cstdio>
#include <cstdlib>

namespace dnn {

void assertionFailed(const char* condition, const char* why, const char* file, int line) {
  std::fprintf(stderr, "dnnc: internal error: %s (%s) at %s:%d; please report this with the input\n", why, condition,
               file, line);
  std::fflush(nullptr);
  std::_Exit(70);
}

} // namespace dnn
