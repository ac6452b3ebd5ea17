// The functions that failed checks call. Their real arguments differ; only their names are reported, so each is defined
// without any, in a file that does not see Halide's declarations.
#include "test/property/kernel_runner.h"

extern "C" {

#define HALIDE_CHECK(name)                                                                                             \
  int name() { return dnn::test::reportHalideError(#name); }
#include "test/property/halide_checks.def"
#undef HALIDE_CHECK
}
