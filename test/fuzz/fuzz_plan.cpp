// The plan decoder on arbitrary bytes.
#include "runtime/plan/plan.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  dnn::plan::Plan plan;
  std::string error;
  if (dnn::plan::decode(bytes, size, plan, error)) {
    std::vector<uint8_t> again = dnn::plan::encode(plan);
    if (again != std::vector<uint8_t>(bytes, bytes + size)) {
      __builtin_trap();
    }
  }
  return 0;
}
