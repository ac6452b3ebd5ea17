// The .npy reader on arbitrary bytes.
#include "runtime/data/npy.h"

namespace dnn::runtime {
namespace {

void check(const uint8_t* bytes, size_t size) {
  FileArray array;
  if (readNpy(bytes, size, "fuzz.npy", array).ok()) {
    if (array.values.size() != array.count * static_cast<uint64_t>(byteSize(array.type))) {
      __builtin_trap();
    }
  }
}

} // namespace
} // namespace dnn::runtime

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  dnn::runtime::check(bytes, size);
  return 0;
}
